"""The output tables as the requirements describe them: their names, keys, identifiers and addresses."""

from __future__ import annotations

import pytest

from shared.settings import OUTPUT_TABLES
from shared.tables.catalog import TABLES, key_name, logical_name, set_name, table_name

NAMES_OF_KEYS = {
    "CustomerProfile": "CustomerProfileId",
    "ContactProfile": "ContactProfileId",
    "AlternateKey": "AlternateKeyId",
    "UnifiedActivity": "UnifiedActivityId",
    "CustomerMeasure": "CustomerMeasureId",
    "Enrichment": "EnrichmentId",
    "Prediction": "PredictionId",
    "SegmentMembership": "SegmentMembershipId",
}


def test_the_tables_of_the_requirements_in_their_order() -> None:
    assert tuple(TABLES) == OUTPUT_TABLES == tuple(NAMES_OF_KEYS)


@pytest.mark.parametrize(("table", "key"), NAMES_OF_KEYS.items())
def test_the_keys_of_the_tables(table: str, key: str) -> None:
    assert key_name("msdynci", table) == f"msdynci_{key.lower()}"


@pytest.mark.parametrize(
    ("table", "formula"),
    [
        ("ContactProfile", "ContactProfile|CustomerId|ContactId"),
        ("AlternateKey", "DataSourceName|EntityName|AlternateValue"),
        ("CustomerMeasure", "Customer_Measure|CustomerId"),
        ("Enrichment", "EnrichmentProvider|EnrichmentType|CustomerId"),
        ("Prediction", "Model|ModelProvider|CustomerId"),
        ("SegmentMembership", "CustomerId|SegmentProvider|SegmentMembershipType|Name"),
        ("CustomerProfile", ""),
        ("UnifiedActivity", ""),
    ],
)
def test_the_identifiers_of_the_requirements(table: str, formula: str) -> None:
    assert TABLES[table].identifier == formula
    assert any(field.name == "Identifier" for field in TABLES[table].fields) is bool(formula)


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("CustomerProfile", "msdynci_customerprofiles"),
        ("ContactProfile", "msdynci_contactprofiles"),
        ("AlternateKey", "msdynci_alternatekeys"),
        ("UnifiedActivity", "msdynci_unifiedactivities"),
        ("CustomerMeasure", "msdynci_customermeasures"),
        ("Enrichment", "msdynci_enrichments"),
        ("Prediction", "msdynci_predictions"),
        ("SegmentMembership", "msdynci_segmentmemberships"),
    ],
)
def test_how_tables_are_addressed(table: str, name: str) -> None:
    assert set_name("msdynci", table) == name
    assert table_name("msdynci", table) == f"msdynci_{table.lower()}"


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        ("FullName", "msdynci_fullname"),
        ("First Name", "msdynci_firstname"),
        ("Größe (cm)", "msdynci_gre cm".replace(" ", "")),
        ("CRM_contact_contactid", "msdynci_crm_contact_contactid"),
        ("1st", "msdynci_1st"),
        ("İD", "msdynci_id"),
        ("K", "msdynci_k"),  # the sign of Kelvin has a plain k as its lower case
        ("漢字", "msdynci_"),
    ],
)
def test_names_in_dataverse(attribute: str, name: str) -> None:
    assert logical_name("msdynci", attribute) == name
