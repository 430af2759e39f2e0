"""The local Dataverse: MetadataIds, and the stamps of rows."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.local_dataverse import Api, column, lookup, running, table

TABLE = "EntityDefinitions(LogicalName='new_profile')"
RELATIONSHIP = "RelationshipDefinitions(SchemaName='new_link_contact')"
CODE_KEY = {"SchemaName": "new_codekey", "KeyAttributes": ["new_code"]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("dataverse")) as url:
        yield Api(url)


@pytest.fixture
def api(server: Api) -> Api:
    return prepared(server.another())


def prepared(api: Api) -> Api:
    api.expect(204, "POST", "EntityDefinitions", json=table("new_profile", column("new_code")))
    api.expect(204, "POST", f"{TABLE}/Keys", json=CODE_KEY)
    api.expect(204, "POST", "RelationshipDefinitions", json=lookup("new_link", "contact", "new_profile"))
    return api


def identities(api: Api) -> dict[str, str]:
    """MetadataIds by what they belong to."""
    parts = {
        "table": TABLE,
        "column": f"{TABLE}/Attributes(LogicalName='new_code')",
        "key": f"{TABLE}/Keys(LogicalName='new_codekey')",
        "relationship": RELATIONSHIP,
        "lookup": "EntityDefinitions(LogicalName='contact')/Attributes(LogicalName='new_link')",
    }
    return {part: api.get(path)["MetadataId"] for part, path in parts.items()}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {part for part, identity in before.items() if after[part] != identity}


def test_a_column_and_a_key_made_again_under_their_names_have_other_metadata_ids(api: Api) -> None:
    before = identities(api)
    api.expect(204, "DELETE", f"{TABLE}/Keys(LogicalName='new_codekey')")
    api.expect(204, "DELETE", f"{TABLE}/Attributes(LogicalName='new_code')")
    made = api.expect(204, "POST", f"{TABLE}/Attributes", json=column("new_code"))
    api.expect(204, "POST", f"{TABLE}/Keys", json=CODE_KEY)
    after = identities(api)
    assert changed(before, after) == {"column", "key"}
    assert after["column"] in made.headers["OData-EntityId"]


def test_a_relationship_made_again_has_another_metadata_id_with_its_lookup(api: Api) -> None:
    before = identities(api)
    api.expect(204, "DELETE", RELATIONSHIP)
    api.expect(204, "POST", "RelationshipDefinitions", json=lookup("new_link", "contact", "new_profile"))
    assert changed(before, identities(api)) == {"relationship", "lookup"}


def test_a_table_made_again_has_other_metadata_ids_throughout(api: Api) -> None:
    before = identities(api)
    api.expect(204, "DELETE", RELATIONSHIP)
    api.expect(204, "DELETE", TABLE)
    prepared(api)
    assert changed(before, identities(api)) == set(before)


def test_metadata_ids_outlast_a_restart(tmp_path: Path) -> None:
    with running(tmp_path) as url:
        api = prepared(Api(url))
        api.expect(204, "DELETE", RELATIONSHIP)
        api.expect(204, "POST", "RelationshipDefinitions", json=lookup("new_link", "contact", "new_profile"))
        before = identities(api)
    with running(tmp_path) as url:
        assert identities(Api(url)) == before


WAYS: dict[str, dict[str, Any]] = {
    "PATCH": {"path": "contacts({})", "json": {"firstname": "B"}},
    "PUT": {"path": "contacts({})/firstname", "json": {"value": "B"}},
    "POST": {
        "path": "contacts/Microsoft.Dynamics.CRM.UpdateMultiple",
        "json": {"Targets": [{"@odata.type": "Microsoft.Dynamics.CRM.contact", "contactid": "{}", "firstname": "B"}]},
    },
}


@pytest.mark.parametrize("method", WAYS)
def test_modifiedon_changes_with_an_update_and_createdon_does_not(api: Api, method: str) -> None:
    contact, long_ago = str(uuid.uuid4()), "2020-01-02T03:04:05Z"
    api.seed("contact", f"contactid,firstname,createdon,modifiedon\n{contact},A,{long_ago},{long_ago}\n")
    body = WAYS[method]["json"]
    for target in body.get("Targets", []):
        target["contactid"] = contact
    api.expect(204, method, WAYS[method]["path"].format(contact), json=body)
    row = api.exported("contact")[contact]
    assert row["firstname"] == "B"
    assert row["createdon"] == long_ago
    assert row["modifiedon"] > "2025"
