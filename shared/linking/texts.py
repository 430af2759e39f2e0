"""Every text that people read of linking, in one place: docs/linking.md says what to do about each (a test checks).

Names in braces are filled in where the text is used.
"""

from __future__ import annotations

# -- Skipped: a requirement is not met, and nothing of the table was written or cleared ----------------------------

NOT_INGESTED = (
    "Error: The backstamping job is skipped. It only runs when unification setup contains tables that are ingested to "
    "Customer Insights from the same Dataverse organization that was configured or selected during instance creation."
)
NOT_LINKED = "Error: Linking of Dataverse tables to the CustomerProfile table is skipped."
"""Both stand verbatim in Microsoft's documentation; users search for them."""

SOURCE_NOT_CONFIGURED = (
    "The table {entity} of the data source {data_source} is not linked: hydration.toml has no "
    "[data_sources.{data_source}]. If it is ingested from this organization, add it there with its dataverse address."
)
SOURCE_IS_NO_DATAVERSE = (
    "The table {entity} of the data source {data_source} is not linked: [data_sources.{data_source}] names no "
    "Dataverse organization. If it is ingested from this organization, set its dataverse address in hydration.toml."
)
SOURCE_OF_ANOTHER_ORGANIZATION = (
    "The table {entity} of the data source {data_source} is not linked: [data_sources.{data_source}] is ingested from "
    "another organization ({url}). Links are written only to the organization that the environment is bound to."
)
SOURCE_UNKNOWN = (
    "The table {entity} that the lake's ContactProfile names is not linked: hydration.toml has no data source that its "
    "name begins with, and not exactly one that has a table of that name. Add it: [data_sources.<name>.tables.<table>]."
)
NO_CONTACTS = (
    "No key names its rows, and the lake's ContactProfile, which may name some, is not in this snapshot or cannot say "
    "where its contacts come from. No link was written or cleared."
)
NO_TABLE = (
    "The organization {url} has no table {table}. Source tables must keep their name; where the logical name is "
    "another one, set it in hydration.toml ([data_sources.<name>.tables.<table>] logical_name)."
)
NOT_A_STANDARD_TABLE = "The table {table} is of type {type}: a lookup cannot be added to it, so it is not linked."
NOT_THE_PRIMARY_KEY = (
    "The key used in unification ({key}) is neither the primary key of {table} ({primary_key}) nor an alternate key of "
    "it. Choose the table's own primary key where the unification is set up."
)
KEY_NOT_READY = (
    "The key used in unification ({key}) is an alternate key of {table}, but its index is not active ({status}). Wait "
    "until Dataverse has built it, or reactivate the key."
)
NO_GUIDS = (
    "None of the keys that unification has of {table} is a GUID, so they are not its primary key ({primary_key}). "
    "Choose the table's own primary key where the unification is set up; where they are the values of an alternate "
    "key, name its column in hydration.toml ([data_sources.<name>.tables.<table>] primary_key)."
)
SEVERAL_KEYS = (
    "The sources of {table} use different keys ({keys}). Use one key for all of them where the unification is set up."
)
OTHER_TARGET = (
    "The column {lookup} of {table} exists as {what}; the links need a lookup to {profile}. Rename or remove the "
    "existing column, or choose another publisher_prefix in hydration.toml."
)
CASCADES = (
    "The lookup {lookup} of {table} exists with the delete behaviour Cascade: deleting a profile would delete its rows "
    "of {table}. Change the relationship's delete behaviour to Restrict; until then no profile is removed."
)
NO_PRIVILEGE = (
    "The application user {user} lacks {privileges}, which linking {table} needs. Add it to the user's security role "
    "for the whole organization."
)
NO_PROFILES = (
    "Dataverse has no table of profiles to point to: CustomerProfile is disabled, or failed in this run. "
    "Nothing of it was written or removed."
)

# -- Failed: nothing may be concluded ----------------------------------------------------------------------------------

KEYS_UNREADABLE = "The keys of the links cannot be read: {reason} No link was written or cleared."
CONTACTS_UNREADABLE = "The contacts cannot be read: {reason} No link was written or cleared."
NO_KEYS = "{reason} No link was written or cleared."

# -- a row's fault: rejects.csv names each ----------------------------------------------------------------------------

KEY_IS_NO_GUID = "key: the value is not a GUID, so it names no row of this table"
ID_IS_NO_TEXT = "CustomerId: the text is not valid UTF-8"
SEVERAL_CUSTOMERS = "key: the source row belongs to several customers"
NO_PROFILE = "CustomerId: no profile has this id"

# -- what is held -----------------------------------------------------------------------------------------------------

HELD = (
    "{what}: {reason}. Look at them; if they are right, POST /api/runs/{run}/confirm does exactly this, until a newer "
    "run starts."
)
WOULD_HOLD = "{what}: {reason}. A run would hold them until a person confirms."
OVER_THE_BRAKE = "more than the brake allows ({percent} percent of {known})"
WOULD_NOT_WRITE = "Nothing would be written."
KEYS_FROM_ELSEWHERE = (
    "the keys came from {before} before and come from {now} now; the next run removes what is still absent"
)
STILL_UNIFIED = "{count} of their rows are unified still, in the table {table}, which is not linked as it is configured"
CONTACTS_LOST = "they may come from the lake's ContactProfile, which this snapshot does not deliver"
CONTACTS_AMBIGUOUS = "the column {column} of the lake's ContactProfile is ambiguous"
WOULD_CASCADE = (
    "deleting a profile would delete rows of {tables}, whose lookup exists with the delete behaviour Cascade"
)
UNREADABLE_KEYS = "{count} of the keys cannot be read, and any of these links may be theirs"

# -- what a task tells beside its counts ------------------------------------------------------------------------------

READ = "{count} rows of {table} were read, because {reason}: links are compared with what they hold."
FIRST_TIME = "no run has linked it to its end before"
NOT_RECORDED = "what an earlier run left is not known"
CHANGED_CONFIGURATION = "its configuration changed"
ASKED_FOR = "the run is of mode {mode}"
ALTERNATE_KEYS = "unification names its rows by the alternate key {key}"
MISSING = "{count} missing in Dataverse{names}; each run tries again to link them."
BYPASSED = "Flows were not fired; plug-ins and workflows were bypassed."
NOT_BYPASSED = (
    "Flows were not fired. Plug-ins and workflows of {table} ran: the application user lacks "
    "prvBypassCustomBusinessLogic."
)
NOT_RESTRICTED = "Deleting a profile empties the lookup of {table} (it exists as {on_delete}, not Restrict)."
