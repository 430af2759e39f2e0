"""The links of one source table, as rows to compare: source row -> profile."""

from __future__ import annotations

from dataclasses import dataclass

from shared.linking import texts
from shared.tables import sql
from shared.tables.guids import UNREADABLE
from shared.tables.rows import Rows

LOOKUP = "lookupfield_customerprofile"
"""The lookup's schema name without the publisher's prefix (requirements: msdynci_lookupfield_customerprofile)."""

LOOKUP_DISPLAY = "Customer Profile"


def keys(*, by_alternate_key: bool) -> str:
    """SQL of the view `link` (value, customer_id, row_id, unreadable), from `link_key`, `link_source` and `there`."""
    if by_alternate_key:
        return sql.load("link_by_key.sql").format(unreadable=sql.text(UNREADABLE))
    return sql.load("link_by_guid.sql")


def elsewhere(*, by_alternate_key: bool) -> str:
    """SQL of the view `elsewhere` (id, data_source, entity), from what `keys` reads and `not_dataverse` (name)."""
    return sql.load("elsewhere_by_key.sql" if by_alternate_key else "elsewhere_by_guid.sql")


@dataclass(frozen=True)
class LinkTarget:
    """How the links of a source table are written: `navigation` is the lookup's navigation property."""

    logical_name: str
    primary_id: str
    navigation: str
    profile_set: str

    @property
    def _head(self) -> str:
        return sql.text(f'{{"@odata.type":"Microsoft.Dynamics.CRM.{self.logical_name}","{self.primary_id}":"')

    def rows(self, *, read: bool) -> Rows:
        """From `link` and `profile`. The entry is the profile's GUID: re-pointed ones are written.

        `read`: `there` holds the rows that Dataverse has, so it is known which ones are missing.
        """
        select = sql.load("link.sql").format(
            key_is_no_guid=sql.text(texts.KEY_IS_NO_GUID),
            id_is_no_text=sql.text(texts.ID_IS_NO_TEXT),
            several_customers=sql.text(texts.SEVERAL_CUSTOMERS),
            no_profile=sql.text(texts.NO_PROFILE),
        )
        return Rows(
            select, "fault", self.record("profile"), "profile",
            absent="id NOT IN (SELECT id FROM there)" if read else "false",
            born="born",
            read=read,
            candidates="candidates",
            unnamed=f"id IS NULL OR fault = {sql.text(texts.KEY_IS_NO_GUID)}",
        )  # fmt: skip

    def record(self, profile: str) -> str:
        """SQL over id: the record that points the lookup to that profile (SQL)."""
        tail = sql.text(f'","{self.navigation}@odata.bind":"/{self.profile_set}(')
        return f"concat({self._head}, id, {tail}, {profile}, ')\"}}')"

    def clear(self) -> str:
        """SQL over id: the record that empties the lookup."""
        tail = sql.text(f'","{self.navigation}@odata.bind":null}}')
        return f"concat({self._head}, id, {tail})"
