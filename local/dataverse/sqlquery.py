"""`GET {set}?sql=SELECT ...`: a read-only query in the part of SQL that the service's own clients describe.

One SELECT with columns, aggregates, DISTINCT, TOP (up to 5,000), INNER and LEFT JOIN, WHERE, GROUP BY, ORDER BY and
OFFSET. All else is refused: `*`, HAVING, UNION, subqueries, expressions; what a refusal says is not established.
Members of the rows have the names of their columns, or those behind AS.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from json.encoder import encode_basestring
from typing import Any
from urllib.parse import quote

from local.dataverse import limits, operators
from local.dataverse.call import Call, json_response
from local.dataverse.conditions import Sql
from local.dataverse.errors import DataverseError, bad_query
from local.dataverse.metadata import Column, Table
from local.dataverse.organization import Organization
from local.dataverse.sqltext import Token, Tokens
from local.dataverse.statement import Output, Source, Statement, aggregate, plain
from local.dataverse.wire import Response

FUNCTIONS = frozenset({"COUNT", "SUM", "AVG", "MIN", "MAX"})
COMPARISONS = {"=": "eq", "<>": "ne", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
PAGE = re.compile(r"sql page (\d+)")


def answer(call: Call, table: Table) -> Response:
    """Answer a query by SQL. Raises DataverseError."""
    call.kind, call.table = "query", table.logical_name
    if call.method != "GET":
        raise bad_query("A query by SQL is sent with GET.")
    parser = _Parser(call.organization, call.options["sql"])
    statement = parser.select()
    if statement.root.table is not table:
        raise bad_query(f"The SQL reads '{statement.root.table.logical_name}', not the set '{table.set_name}'.")
    page = _page(call.options.get("$skiptoken"))
    size = limits.MAX_PAGE_ROWS if parser.top is None else parser.top
    rows = statement.rows(call.organization, size + 1, parser.offset + (page - 1) * size)
    members = [f'"@odata.context":{encode_basestring(f"{call.base}$metadata#{table.set_name}")}']
    members.append(f'"value":[{",".join(statement.text(row) for row in rows[:size])}]')
    if parser.top is None and len(rows) > size:
        kept = [part for part in call.query.split("&") if part.startswith("sql=")]
        link = f"{call.base}{call.path}?{'&'.join([*kept, '$skiptoken=' + quote(f'sql page {page + 1}')])}"
        members.append(f'"@odata.nextLink":{encode_basestring(link)}')
    return json_response("{" + ",".join(members) + "}")


def _page(text: str | None) -> int:
    if text is None:
        return 1
    match = PAGE.fullmatch(text)
    if match is None:
        raise DataverseError(400, "0x80044252", "The paging cookie is malformed: it must be passed on as it was given.")
    return int(match[1])


class _Parser(Tokens):
    """Recursive descent over the tokens that are left. Tables come before columns: the FROM part is read first."""

    def __init__(self, organization: Organization, text: str) -> None:
        super().__init__(text)
        self.organization = organization
        self.top: int | None = None
        self.offset = 0
        self.statement: Statement

    def select(self) -> Statement:
        self.expect("SELECT")
        distinct = self.passed("DISTINCT")
        if self.passed("TOP"):
            self.top = self.number()
        items, self.tokens = self.until_from()
        root = self.table()
        self.statement = Statement(root, {root.alias: root}, distinct=distinct)
        self.joins()
        self.statement.wheres += [self.either()] if self.passed("WHERE") else []
        groups = self.several(self.column) if self.passed("GROUP", "BY") else []
        orders, self.tokens = self.tokens, items
        self.outputs(groups)
        self.tokens = orders
        if self.passed("ORDER", "BY"):
            self.statement.orders = self.several(self.order)
            self.range()
        if self.tokens:
            raise self.error(f"'{self.tokens[0][1]}' is not expected")
        return self.statement

    def range(self) -> None:
        """Read OFFSET n ROWS FETCH NEXT m ROWS ONLY, which stands behind ORDER BY."""
        if not self.passed("OFFSET"):
            return
        self.offset = self.number()
        self.either_word("ROWS", "ROW")
        if self.passed("FETCH"):
            self.either_word("NEXT", "FIRST")
            self.top = self.number()
            self.either_word("ROWS", "ROW")
            self.expect("ONLY")

    def number(self) -> int:
        text = self.take("number")
        if not text.isdecimal() or int(text) > limits.MAX_PAGE_ROWS:
            raise self.error(f"{text} is not from 0 to {limits.MAX_PAGE_ROWS}")
        return int(text)

    def either_word(self, *words: str) -> None:
        if not any(self.passed(word) for word in words):
            raise self.error(f"{' or '.join(words)} is expected")

    def until_from(self) -> tuple[list[Token], list[Token]]:
        """Return the tokens before and behind FROM."""
        if ("word", "FROM") not in self.tokens:
            raise self.error("FROM is expected")
        position = self.tokens.index(("word", "FROM"))
        return self.tokens[:position], self.tokens[position + 1 :]

    def table(self) -> Source:
        name = self.take("name")
        table = self.organization.catalog.tables.get(name.lower())
        if table is None:
            raise DataverseError(400, "0x80041102", f"The entity with a name = '{name}' was not found.")
        named = self.passed("AS") or (bool(self.tokens) and self.tokens[0][0] == "name")
        return Source(table, (self.take("name") if named else table.logical_name).lower())

    def joins(self) -> None:
        if self.ahead(","):
            raise self.error("tables are joined by JOIN ... ON")
        while self.ahead("JOIN") or self.ahead("INNER") or self.ahead("LEFT"):
            inner = not self.passed("LEFT")
            if inner:
                self.passed("INNER")
            else:
                self.passed("OUTER")
            self.expect("JOIN")
            source = self.table()
            if source.alias in self.statement.sources:
                raise self.error(f"the alias '{source.alias}' is not unique")
            self.statement.sources[source.alias] = source
            self.expect("ON")
            self.statement.join(self.organization, source, self.either(), inner=inner)

    def column(self) -> tuple[Source, Column]:
        name = self.take("name")
        if self.passed("."):
            source = self.statement.source(name.lower())
            return source, source.column(self.take("name"))
        having = [source for source in self.statement.sources.values() if name.lower() in source.table.columns]
        if len(having) > 1:
            raise self.error(f"the column '{name}' is ambiguous")
        source = having[0] if having else self.statement.root
        return source, source.column(name)

    def outputs(self, groups: list[tuple[Source, Column]]) -> None:
        """Read what is selected; with aggregates or groups, columns must be grouped by."""
        items = self.several(self.item)
        if self.tokens:
            raise self.error(f"'{self.tokens[0][1]}' is not expected")
        statement = self.statement
        statement.outputs = [output for output, _ in items]
        statement.groups = [source.field(column) for source, column in groups]
        aggregates = any(aggregated for _, aggregated in items)
        if (aggregates or groups) and any(not one and output.sql not in statement.groups for output, one in items):
            raise self.error("a column is neither aggregated nor grouped by")
        statement.keyed = not (aggregates or groups or statement.distinct)

    def item(self) -> tuple[Output, bool]:
        if self.ahead("*"):
            raise self.error("SELECT * is not served: name the columns")
        following = self.tokens[1:2] == [("mark", "(")]
        if following and self.tokens[0][1].upper() in FUNCTIONS:
            return self.aggregate(), True
        source, column = self.column()
        return plain(source, column, self.alias() or column.logical_name), False

    def aggregate(self) -> Output:
        function = self.take("name").lower()
        self.expect("(")
        distinct = self.passed("DISTINCT")
        if function == "count" and self.passed("*"):
            source, column = self.statement.root, None
        else:
            source, column = self.column()
        self.expect(")")
        name = self.alias() or function
        if function == "count" and column is not None:
            function = "countcolumn"
        return aggregate(source, column, function, name, distinct=distinct)

    def alias(self) -> str | None:
        named = self.passed("AS") or (bool(self.tokens) and self.tokens[0][0] == "name")
        return self.take("name") if named else None

    def order(self) -> str:
        name = self.tokens[0][1] if self.tokens else ""
        by_alias = [output.sql for output in self.statement.outputs if output.name.lower() == name.lower()]
        if by_alias and self.tokens[1:2] != [("mark", ".")]:
            self.take("name")
            found = by_alias[0]
            if not self.statement.groups and self.statement.keyed:
                found = self.sortable(name, found)
        else:
            source, column = self.column()
            found = source.operand(column)
        down = self.passed("DESC")
        if not down:
            self.passed("ASC")
        return found + " DESC" * down

    def sortable(self, name: str, found: str) -> str:
        """Return a selected column as it sorts."""
        for source in self.statement.sources.values():
            column = source.table.columns.get(name.lower())
            if column is not None and source.field(column) == found:
                return source.operand(column)
        return found

    def either(self) -> Sql:
        return self.joined("OR", lambda: self.joined("AND", self.single))

    def joined(self, word: str, part: Callable[[], Sql]) -> Sql:
        parts = [part()]
        while self.passed(word):
            parts.append(part())
        sql = f" {word} ".join(f"({one})" for one, _ in parts)
        return f"({sql})", [value for _, found in parts for value in found]

    def single(self) -> Sql:
        if self.passed("NOT"):
            sql, arguments = self.single()
            return f"NOT {sql}", arguments
        if self.passed("("):
            inner = self.either()
            self.expect(")")
            return inner
        source, column = self.column()
        operand = source.operand(column)
        if self.passed("IS"):
            test = f"{operand} IS {'NOT ' * self.passed('NOT')}NULL"
            self.expect("NULL")
            return test, []
        denied = "NOT " * self.passed("NOT")
        if self.passed("LIKE"):
            sql, arguments = operators.like(operand, self.take("text"))
        elif self.passed("IN"):
            self.expect("(")
            arguments = self.several(lambda: self.value(column))
            self.expect(")")
            sql = f"{operand} IN ({', '.join('?' * len(arguments))})"
        elif self.passed("BETWEEN"):
            low = self.value(column)
            self.expect("AND")
            sql, arguments = f"({operand} BETWEEN ? AND ?)", [low, self.value(column)]
        elif denied:
            raise self.error("LIKE, IN or BETWEEN is expected behind NOT")
        else:
            sql, arguments = self.comparison(column, operand)
        return f"{denied}{sql}", arguments

    def comparison(self, column: Column, operand: str) -> Sql:
        operator = COMPARISONS.get(self.take("mark"))
        if operator is None:
            raise self.error("a comparison is expected")
        sign = operators.COMPARISONS[operator]
        if self.tokens and self.tokens[0][0] == "name":
            source, other = self.column()
            return f"{operand} {sign} {source.operand(other)}", []
        return f"{operand} {sign} ?", [self.value(column)]

    def value(self, column: Column) -> Any:
        return operators.value(column, self.take("text", "number"))
