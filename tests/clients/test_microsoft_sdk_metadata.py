"""Microsoft's Python client against the local Dataverse: tables, columns, keys and relationships."""

from __future__ import annotations

from typing import Any

import pytest
from PowerPlatform.Dataverse.core.errors import HttpError, MetadataError
from PowerPlatform.Dataverse.models.labels import Label, LocalizedLabel
from PowerPlatform.Dataverse.models.relationship import (
    LookupAttributeMetadata,
    ManyToManyRelationshipMetadata,
    OneToManyRelationshipMetadata,
)

from tests.support.microsoft_sdk import Home

EVERY_TYPE = {
    "new_Text": "string",
    "new_Notes": "memo",
    "new_Count": "int",
    "new_Amount": "decimal",
    "new_Ratio": "float",
    "new_When": "datetime",
    "new_Done": "bool",
    "new_Document": "file",
}


def label(text: str) -> Label:
    return Label(localized_labels=[LocalizedLabel(label=text, language_code=1033)])


def named(rows: list[dict[str, Any]], name: str = "LogicalName") -> set[str]:
    return {str(row[name]) for row in rows}


def test_a_table_with_every_type_of_column_is_created_by_create_entities(home: Home) -> None:
    made = home.client.tables.create("new_Thing", EVERY_TYPE, display_name="Thing")
    assert (made["entity_set_name"], made["primary_name_attribute"]) == ("new_things", "new_name")
    kinds = {
        row["LogicalName"]: row["AttributeTypeName"]["Value"] for row in home.client.tables.list_columns("new_Thing")
    }
    assert {name: kinds[name.lower()] for name in EVERY_TYPE} == {
        "new_Text": "StringType",
        "new_Notes": "MemoType",
        "new_Count": "IntegerType",
        "new_Amount": "DecimalType",
        "new_Ratio": "DoubleType",
        "new_When": "DateTimeType",
        "new_Done": "BooleanType",
        "new_Document": "FileType",
    }


def test_a_table_is_listed_found_and_deleted(home: Home) -> None:
    tables = home.client.tables
    tables.create("new_Thing", {})
    custom = "OwnershipType eq Microsoft.Dynamics.CRM.OwnershipTypes'UserOwned' and IsCustomEntity eq true"
    assert named(tables.list(filter=custom, select=["LogicalName"])) == {"new_thing"}
    tables.delete("new_thing")
    assert tables.get("new_Thing") is None
    with pytest.raises(MetadataError):
        tables.delete("new_Thing")


def test_a_second_table_of_one_name_is_refused(home: Home) -> None:
    home.client.tables.create("new_Thing", {})
    body = {"Entities": [{"@odata.type": "Microsoft.Dynamics.CRM.ComplexEntityMetadata", "SchemaName": "new_thing"}]}
    answer = home.request("POST", "CreateEntities", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "0x80044363")


def test_create_entities_makes_all_tables_or_none(home: Home) -> None:
    kind = "Microsoft.Dynamics.CRM.Complex"
    words = label("x").to_dict()
    name = {"@odata.type": f"{kind}StringAttributeMetadata", "SchemaName": "new_Name", "IsPrimaryName": True}
    good = {
        "@odata.type": f"{kind}EntityMetadata",
        "SchemaName": "new_First",
        "DisplayName": words,
        "DisplayCollectionName": words,
        "OwnershipType": "UserOwned",
        "Attributes": [{**name, "DisplayName": words}],
    }
    answer = home.request("POST", "CreateEntities", json={"Entities": [good, {**good, "SchemaName": "wrong"}]})
    assert answer.status_code == 400
    assert home.client.tables.get("new_First") is None


def test_a_table_is_created_in_a_solution(home: Home) -> None:
    (publisher,) = home.get("publishers?$select=publisherid")["value"]
    body = {"uniquename": "mine", "friendlyname": "Mine", "version": "1.0"}
    bind = {"publisherid@odata.bind": f"publishers({publisher['publisherid']})"}
    assert home.request("POST", "solutions", json={**body, **bind}).ok
    made = home.client.tables.create("new_Thing", {}, solution="mine")
    components = home.get("solutioncomponents?$select=objectid")["value"]
    assert [row["objectid"] for row in components] == [made["metadata_id"]]
    with pytest.raises(HttpError, match="solution unique name"):
        home.client.tables.create("new_Other", {}, solution="nosuch")


def test_columns_are_added_changed_and_removed(home: Home) -> None:
    tables = home.client.tables
    tables.create("new_Thing", {})
    tables.add_columns("new_Thing", {"new_Code": {"type": "string", "max_length": 20}, "new_Size": "int"})
    tables.update_column("new_Thing", "new_Code", {"max_length": 40, "display_name": "Code"})
    found = tables.get_column("new_Thing", "new_Code", typed=True)
    assert found is not None
    assert (found["MaxLength"], found["SchemaName"]) == (40, "new_Code")
    assert found["DisplayName"]["UserLocalizedLabel"]["Label"] == "Code"
    tables.remove_columns("new_Thing", ["new_Size"])
    custom = tables.list_columns("new_Thing", select=["LogicalName"], filter="IsCustomAttribute eq true")
    assert named(custom) == {"new_thingid", "new_name", "new_code"}


def test_typed_columns_come_with_what_belongs_to_their_type(home: Home) -> None:
    home.client.tables.create("new_Thing", EVERY_TYPE)
    found = {row["LogicalName"]: row for row in home.client.tables.list_columns("new_Thing", typed=True)}
    assert found["new_text"]["MaxLength"] == 200
    assert found["new_count"]["MaxValue"] == 2147483647
    assert found["new_amount"]["Precision"] == 2
    assert "MaxLength" not in found["new_count"]


def test_an_alternate_key_is_created_listed_and_deleted(home: Home) -> None:
    tables = home.client.tables
    tables.create("new_Thing", {"new_Code": "string"})
    tables.create_alternate_key("new_Thing", "new_ByCode", ["new_code"], display_name="By code")
    (key,) = tables.get_alternate_keys("new_Thing")
    assert (key.schema_name, key.key_attributes) == ("new_ByCode", ["new_code"])
    tables.delete_alternate_key("new_Thing", key.metadata_id)
    assert tables.get_alternate_keys("new_Thing") == []


def test_a_one_to_many_relationship_is_created_found_and_deleted(home: Home) -> None:
    tables = home.client.tables
    tables.create("new_Parent", {})
    tables.create("new_Child", {})
    made = tables.create_one_to_many_relationship(
        LookupAttributeMetadata(schema_name="new_ParentId", display_name=label("Parent")),
        OneToManyRelationshipMetadata(
            schema_name="new_Parent_Child",
            referenced_entity="new_parent",
            referencing_entity="new_child",
            referenced_attribute="new_parentid",
        ),
    )
    found = tables.get_relationship("new_Parent_Child")
    assert found is not None
    assert found.relationship_id == made.relationship_id
    assert (found.relationship_type, found.referencing_entity) == ("one_to_many", "new_child")
    assert named(tables.list_table_relationships("new_Child"), "SchemaName") == {"new_Parent_Child"}
    tables.delete_relationship(str(made.relationship_id))
    assert tables.get_relationship("new_Parent_Child") is None


def test_a_many_to_many_relationship_is_created_found_and_deleted(home: Home) -> None:
    tables = home.client.tables
    tables.create("new_Course", {})
    made = tables.create_many_to_many_relationship(
        ManyToManyRelationshipMetadata(
            schema_name="new_course_contact", entity1_logical_name="new_course", entity2_logical_name="contact"
        )
    )
    found = tables.get_relationship("new_course_contact")
    assert found is not None
    assert (found.relationship_type, found.entity2_logical_name) == ("many_to_many", "contact")
    assert "new_course_contact" in named(tables.list_table_relationships("contact"), "SchemaName")
    kind = "Microsoft.Dynamics.CRM.RelationshipType'ManyToManyRelationship'"
    assert len(tables.list_relationships(filter=f"RelationshipType eq {kind}")) == 1
    chosen = tables.list_relationships(select=["SchemaName", "ReferencedEntity"], filter="IsCustomRelationship eq true")
    assert [(one["SchemaName"], one["ReferencedEntity"]) for one in chosen] == [("new_course_contact", None)]
    tables.delete_relationship(str(made.relationship_id))
    assert tables.get_relationship("new_course_contact") is None


def test_rows_are_paired_by_a_many_to_many_relationship_and_expanded(home: Home) -> None:
    client = home.client
    client.tables.create("new_Course", {})
    client.tables.create_many_to_many_relationship(
        ManyToManyRelationshipMetadata(
            schema_name="new_course_contact", entity1_logical_name="new_course", entity2_logical_name="contact"
        )
    )
    course = client.records.create("new_Course", {"new_name": "Chess"})
    people = client.records.create("contact", [{"lastname": "A"}, {"lastname": "B"}])
    reference = f"new_courses({course})/new_course_contact/$ref"
    for person in people:
        body = {"@odata.id": f"{home.root}/{home.host}/api/data/v9.2/contacts({person})"}
        assert home.request("POST", reference, json=body).status_code == 204
    shown = client.records.retrieve("new_Course", course, expand=["new_course_contact"])
    assert shown is not None
    assert sorted(one["lastname"] for one in shown["new_course_contact"]) == ["A", "B"]
    gone = f"new_courses({course})/new_course_contact({people[0]})/$ref"
    assert home.request("DELETE", gone).status_code == 204
    client.records.delete("contact", people[1])
    assert home.get(f"new_courses({course})/new_course_contact")["value"] == []


def test_a_lookup_field_points_to_a_standard_table(home: Home) -> None:
    client = home.client
    client.tables.create("new_Thing", {})
    client.tables.create_lookup_field("new_Thing", "new_AccountId", "account", display_name="Account")
    account = client.records.create("account", {"name": "Contoso"})
    bind = {"new_AccountId@odata.bind": f"/accounts({account})"}
    thing = client.records.create("new_Thing", {"new_name": "x", **bind})
    shown = client.records.retrieve("new_Thing", thing, expand=["new_AccountId"])
    assert shown is not None
    assert (shown["_new_accountid_value"], shown["new_AccountId"]["name"]) == (account, "Contoso")
