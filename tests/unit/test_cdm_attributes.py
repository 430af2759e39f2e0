from __future__ import annotations

import json
from typing import Any

import pytest

from shared.lake import cdm_types
from shared.lake.cdm_attributes import definitions
from shared.lake.faults import EntityFault
from shared.lake.manifest import Attribute

PATH = "ci_one/Customer.cdm.json"


def read(*attributes: object, others: list[object] | None = None, **entity: object) -> list[tuple[str, str]]:
    defined = [*(others or []), {"entityName": "Customer", "hasAttributes": attributes, **entity}]
    content = json.dumps({"definitions": defined}).encode("utf-8-sig")
    return [(one.name, one.data_type) for one in definitions(content, PATH).attributes("Customer")]


def fault_of(*attributes: object, **entity: Any) -> str:
    with pytest.raises(EntityFault) as raised:
        read(*attributes, **entity)
    assert raised.value.fault.startswith(PATH) or "more than one attribute" in raised.value.fault
    return raised.value.fault


def type_of(others: list[object] | None = None, **told: object) -> str:
    ((_, found),) = read({"name": "a", **told}, others=others)
    return found


def test_names_and_types_in_their_order() -> None:
    found = read(
        {"name": "CustomerId", "dataType": "guid", "purpose": "identifiedBy"},
        {"name": "Name", "dataType": {"dataTypeReference": "string", "appliedTraits": ["is"]}, "isNullable": True},
        {"name": "Born", "purpose": "hasA", "dataFormat": "DateTimeOffset", "dataType": "birthDate"},
        {"name": "Anything"},
        extendsEntity="CdmEntity",
    )
    types = [("CustomerId", "guid"), ("Name", "string"), ("Born", "dateTimeOffset"), ("Anything", "unclassified")]
    assert found == types


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("string", "string"),
        ("char", "string"),
        ("bigInteger", "int64"),
        ("integer", "int64"),
        ("smallInteger", "int64"),
        ("Int16", "int64"),
        ("int64", "int64"),
        ("listLookup", "int64"),
        ("double", "double"),
        ("Float", "double"),
        ("latitude", "double"),
        ("decimal", "decimal"),
        ("baseCurrency", "decimal"),
        ("date", "date"),
        ("time", "time"),
        ("DateTime", "dateTime"),
        ("birthDate", "dateTime"),
        ("dateTimeOffset", "dateTimeOffset"),
        ("BOOLEAN", "boolean"),
        ("guid", "guid"),
        ("entityId", "guid"),
        ("json", "json"),
        ("Unknown", "unclassified"),
        ("email", "email"),
        ("listLookupMultiple", "listLookupMultiple"),
    ],
)
def test_types_are_those_of_a_model(name: str, expected: str) -> None:
    assert type_of(dataType=name) == expected
    assert type_of(dataFormat=name) == expected


@pytest.mark.parametrize(
    ("traits", "expected"),
    [
        ("character big array", "string"),
        ("character big array guid", "guid"),
        ("integer signed numeric", "int64"),
        ("numeric.shaped", "decimal"),
        ("floatingPoint big", "double"),
        ("date time", "dateTime"),
        ("date time timeOffset", "dateTimeOffset"),
        ("date", "date"),
        ("time", "time"),
        ("boolean", "boolean"),
        ("byte array", "unclassified"),
    ],
)
def test_types_of_attributes_that_have_only_traits(traits: str, expected: str) -> None:
    applied: list[object] = [f"is.dataFormat.{trait}" for trait in traits.split()]
    assert type_of(appliedTraits=["means.anything", {"traitReference": applied[0]}, *applied[1:], 7]) == expected
    assert cdm_types.of_traits(["means.content.text.JSON", "is.dataFormat.character"]) == "json"


def test_types_that_the_document_defines() -> None:
    types: list[object] = [
        {"dataTypeName": "loyaltyId", "extendsDataType": {"dataTypeReference": "code"}},
        {"dataTypeName": "code", "extendsDataType": "bigInteger"},
        {"dataTypeName": "loop", "extendsDataType": "loop"},
        {"dataTypeName": "root"},
    ]
    assert type_of(types, dataType="LoyaltyId") == "int64"
    assert type_of(types, dataType="root") == "unclassified"
    assert type_of(types, dataType="loop") == "loop"
    assert type_of(dataType={"dataTypeReference": {"dataTypeName": "mine", "extendsDataType": "string"}}) == "mine"


def test_groups_of_attributes() -> None:
    resolved = {
        "attributeGroupReference": {
            "attributeGroupName": "attributesAddedAtThisScope",
            "members": [
                {"name": "a", "dataType": "string"},
                {"attributeGroupReference": {"attributeGroupName": "inner", "members": [{"name": "b"}]}},
            ],
        }
    }
    group = {"attributeGroupName": "Address", "members": [{"name": "c", "dataType": "date"}]}
    found = read(
        resolved,
        {"attributeGroupReference": "address"},
        {"attributeGroupReference": {"attributeGroupReference": "Address2"}},
        others=[group, {"attributeGroupName": "Address2", "members": [{"name": "d"}]}],
    )
    assert [name for name, _ in found] == ["a", "b", "c", "d"]


def test_an_entity_of_the_same_document_may_be_extended() -> None:
    base: list[object] = [{"entityName": "Base", "hasAttributes": [{"name": "Id"}], "extendsEntity": "CdmObject"}]
    assert read({"name": "a"}, others=base, extendsEntity={"entityReference": "Base"}) == [
        ("Id", "unclassified"),
        ("a", "unclassified"),
    ]


def test_what_only_a_corpus_resolves_is_refused() -> None:
    needs = ", and only a corpus of the Common Data Model resolves that: a resolved document is expected"
    loop = {"attributeGroupName": "G", "members": [{"attributeGroupReference": "G"}]}
    for said, found in {
        'the entity Customer extends "Account"': fault_of({"name": "a"}, extendsEntity="Account"),
        'the entity Customer extends "cdm:/core/Account"': fault_of(extendsEntity="cdm:/core/Account"),
        'the entity Customer extends "Customer"': fault_of(extendsEntity="Customer"),
        "the entity Customer extends a projection": fault_of(extendsEntity={"source": "x", "operations": []}),
        "the entity Customer has a projection": fault_of({"name": "a"}, projection={"operations": [{}]}),
        'attribute 1 of Customer is only the reference "Name"': fault_of("Name"),
        "attribute Address of Customer stands for another": fault_of({"name": "Address", "entity": "Address"}),
        "attribute a of Customer has a projection or": fault_of({"name": "a", "resolutionGuidance": {"x": 1}}),
        'the group "cdsCreated" is of another document': fault_of({"attributeGroupReference": "cdsCreated"}),
        'the group "G" is of another document': fault_of({"attributeGroupReference": "G"}, others=[loop]),
    }.items():
        assert found.startswith(f"{PATH}: {said}")
        assert found.endswith(needs)


def test_what_is_no_definition_is_refused() -> None:
    assert fault_of() == f"{PATH} names no attributes of the entity Customer"
    assert "defines no entity Customer" in fault_of({"name": "a"}, entityName="Other")
    assert "has no name" in fault_of({"dataType": "string"})
    assert "attribute 2 of Customer cannot be read" in fault_of({"name": "a"}, 7)
    assert "more than one attribute a" in fault_of({"name": "a"}, {"name": "a"})
    assert "definition 1 cannot be read" in fault_of({"name": "a"}, others=[7])


def test_an_attribute_is_found_in_any_case_of_its_entity() -> None:
    content = json.dumps({"definitions": [{"entityName": "CUSTOMER", "hasAttributes": [{"name": "a"}]}]}).encode()
    assert definitions(content, PATH).attributes("customer") == (Attribute("a", "unclassified"),)
