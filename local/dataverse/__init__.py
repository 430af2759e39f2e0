"""A Dataverse-compatible Web API over SQLite, for the local stack and the tests. Never deployed.

`python -m local.dataverse --port 0 --db DIRECTORY` serves any number of organizations: the first segment of a path is
the organization's host (`/contoso.crm.dynamics.com/api/data/v9.2/...`), and an organization appears on first use.

One module a concern:

errors      Dataverse's codes and texts                  bulk         CreateMultiple, UpdateMultiple, UpsertMultiple
limits      documented sizes and page lengths            batch        $batch and its change sets
values      column types: what a value may be            query        $select, $filter, $orderby, paging
metadata    tables, columns, relationships, keys         filters      the $filter language
standard    contact, lead, account                       render       rows as JSON
packaging   publisher, solution, solutioncomponent       solutions    what is in which solution
columns     columns from their definitions               signin       tokens
schema      creating and changing metadata               selection    $select, $filter, $expand of metadata
definitions metadata requests (with attributes, relationships; describe shows the model as JSON)
storage     SQLite, transactions, rowversions            laboratory   /local: seed, export, statistics, faults
payload     a JSON body becomes a record                 wire         HTTP/1.1
rows        create, update, delete with their checks     server       which request goes where
privileges  what the user holds; their names             access       whether the caller may do something
users       RetrieveUserPrivileges                       statistics   what was written, which requests came
manners     which flows and logic writes ran             protection   what a user may ask in which time
webservers  which server takes a request, what it did    timing       what a request costs
profiles    limits, costs and servers, by name           faults       what a test wants to go wrong
targets     the rows of a bulk call                      screens      a whole column of values at a glance
rules       what publishers and solutions must keep to

What other clients ask for beside that:

conditions  a $filter as SQL                             expansions   $expand of rows
ordering    $select and $orderby                         formatted    values as users see them
statement   a query over joined tables, as SQL           operators    FetchXML's operators as SQL
fetchxml    `fetchXml=`                                  sqlquery     `sql=` (sqltext reads its words)
bulkdelete  BulkDelete and its jobs                      queryexpression  the queries that it is given
entities    CreateEntities                               metadataquery    RetrieveMetadataChanges
csdl        `$metadata`                                  offers       messages of tables, languages
filecolumns files in rows                                changes      change tracking
intersections  many-to-many relationships (pairing keeps the pairs)

Where Microsoft's documents are silent the stricter behavior is chosen, and a comment says so.
"""
