"""The links of one source table, as rows to compare: source row -> profile."""

from __future__ import annotations

from dataclasses import dataclass

from shared.tables import sql
from shared.tables.rows import Rows

LOOKUP = "lookupfield_customerprofile"
"""The lookup's schema name without the publisher's prefix (requirements: msdynci_lookupfield_customerprofile)."""

LOOKUP_DISPLAY = "Customer Profile"


@dataclass(frozen=True)
class LinkTarget:
    """How the links of a source table are written."""

    logical_name: str
    primary_id: str
    prefix: str
    profile_set: str

    @property
    def lookup(self) -> str:
        """The lookup's schema name, which is its navigation property too."""
        return f"{self.prefix}_{LOOKUP}"

    @property
    def _head(self) -> str:
        return sql.text(f'{{"@odata.type":"Microsoft.Dynamics.CRM.{self.logical_name}","{self.primary_id}":"')

    def rows(self) -> Rows:
        """From `alternate_key` and `link_source`. The entry is the profile's GUID: re-pointed ones are written."""
        tail = sql.text(f'","{self.lookup}@odata.bind":"/{self.profile_set}(')
        return Rows(sql.load("link.sql"), "fault", f"concat({self._head}, id, {tail}, profile, ')\"}}')", "profile")

    def clear(self) -> str:
        """SQL over id: the record that empties the lookup."""
        tail = sql.text(f'","{self.lookup}@odata.bind":null}}')
        return f"concat({self._head}, id, {tail})"
