"""A lookup that somebody deleted and made again is empty: its links are written again."""

from __future__ import annotations

from pathlib import Path

from tests.support.links import LOOKUP, PROFILE, names, paired, row, street
from tests.support.local_dataverse import lookup


def test_a_lookup_that_was_made_again_right_after_the_first_run_is_filled_by_the_next(tmp_path: Path) -> None:
    with street(tmp_path, 1) as lane:
        home = lane.home()
        home.seed("contact", map(row, range(3)))
        home.land(names(range(3)), contact=paired(range(3)))
        path = "EntityDefinitions(LogicalName='contact')/ManyToOneRelationships?$select=SchemaName,ReferencedEntity"
        made = next(one for one in home.api.get(path)["value"] if one["ReferencedEntity"] == PROFILE)
        home.api.expect(204, "DELETE", f"RelationshipDefinitions(SchemaName='{made['SchemaName']}')")
        again = lookup(LOOKUP, "contact", PROFILE, "Restrict")
        home.api.expect(204, "POST", "RelationshipDefinitions", json=again)
        assert home.links("contact") == {}
        assert home.ask().written == {"contact": 3}
        home.assert_holds(names(range(3)), contact=paired(range(3)))
