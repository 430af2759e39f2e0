"""The oracle judges the app, so every identifier and GUID stands here as it was worked out by hand.

The GUIDs of `VECTORS` come from coreutils, not from any code of this project:

    namespace='\\x6b\\x1e\\x5d\\x0c\\x6f\\x4e\\x5c\\x58\\x9b\\x0a\\x3a\\x8e\\x0d\\x2c\\x7f\\x41'
    (printf "$namespace"; printf '%s' "$text") | sha1sum

cut to 32 digits, the 13th made 5 and the 17th made 8 + (digit mod 4). `uuidgen --sha1` of util-linux says the same with
`-n 6b1e5d0c-6f4e-5c58-9b0a-3a8e0d2c7f41 -N "$text"`. Texts that spell a GUID are that GUID.
"""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests import oracle
from tests.oracle import Input, Source
from tests.support.lakes import Entity, write_lake

PLAIN = "daded4c8-40f7-40e0-ae7e-84083928e686"
SPELT = "{DADED4C8-40F7-40E0-AE7E-84083928E686}"
C1, KONTO = "5ed3e9fa-be7a-5a32-b60c-c896fdfddf47", "97410406-78f3-5e04-9a0f-ec82671d6bed"

Vector = tuple[dict[str, str], str | None, str, str]  # cells, identifier, GUID of the row, GUID of its profile

VECTORS: dict[str, list[Vector]] = {
    "CustomerProfile": [
        ({"CustomerId": PLAIN.replace("-", "")}, None, PLAIN, PLAIN),
        ({"CustomerId": f" {SPELT} "}, None, PLAIN, PLAIN),
        ({"CustomerId": "C-1"}, None, "52d9ce3e-b428-5ef5-94a0-c9de3f84c60e", ""),
        ({"CustomerId": " C1 "}, None, C1, C1),
        ({"CustomerId": "Konto|Nº 5"}, None, KONTO, KONTO),
        ({"CustomerId": SPELT[:-1]}, None, "90fd84f0-e000-5541-97d3-5a28968a37ec", ""),
    ],
    "ContactProfile": [
        (
            {"CustomerId": " C1 ", "ContactId": "A|1"},
            "ContactProfile|C1|A|1",
            "8928f297-f417-5ccd-b88a-8f3df545b834",
            C1,
        ),
        (
            {"CustomerId": "{C1}", "ContactId": " Zoë "},
            "ContactProfile|{C1}|Zoë",
            "4a48fc69-ca7b-53da-a24e-2178179b2565",
            "a097403d-8e94-5d56-a07a-50620bc191eb",
        ),
        (
            {"CustomerId": SPELT[1:-1], "ContactId": "漢😀"},
            "ContactProfile|DADED4C8-40F7-40E0-AE7E-84083928E686|漢😀",
            "37e3c317-3378-5f70-86ff-b78a7c978c5d",
            PLAIN,
        ),
    ],
    "AlternateKey": [
        (
            {"DataSourceName": "testdatasource", "EntityName": "contact1", "AlternateValue": "cntid_1078"}
            | {"CustomerId": "C1"},
            "testdatasource|contact1|cntid_1078",
            "d3e175f7-4c0c-5101-a396-9b5f9bc7b219",
            C1,
        ),
        (
            {"DataSourceName": " CRM", "EntityName": "account ", "AlternateValue": f" {SPELT} ", "CustomerId": PLAIN},
            "CRM|account|{DADED4C8-40F7-40E0-AE7E-84083928E686}",
            "bea1a6a1-3faf-5282-b3c1-08530cfaf3d3",
            PLAIN,
        ),
        (
            {"DataSourceName": "ERP", "EntityName": "Debitörer", "AlternateValue": "D|1", "CustomerId": "Konto|Nº 5"},
            "ERP|Debitörer|D|1",
            "b77ba830-bc13-53ff-9204-0448a0cbe5d7",
            KONTO,
        ),
    ],
    "UnifiedActivity": [
        ({"CustomerId": "C1", "ActivityId": "Besuch №4|2"}, None, "f0c3f907-bfb2-5368-9062-087f9905f425", C1),
        ({"CustomerId": SPELT, "ActivityId": " ORDER 1 "}, None, "67fa42ab-98f1-5256-a658-abb0710dbee8", PLAIN),
        ({"CustomerId": " Konto|Nº 5", "ActivityId": f" {SPELT}"}, None, PLAIN, KONTO),
    ],
    "CustomerMeasure": [
        ({"CustomerId": " C1 "}, "Customer_Measure|C1", C1, C1),
        ({"CustomerId": SPELT}, "Customer_Measure|{DADED4C8-40F7-40E0-AE7E-84083928E686}", PLAIN, PLAIN),
        ({"CustomerId": "Konto|Nº 5"}, "Customer_Measure|Konto|Nº 5", KONTO, KONTO),
    ],
    "Enrichment": [
        (
            {"EnrichmentProvider": "Microsoft", "EnrichmentType": "BrandShareOfVoice", "CustomerId": "Konto|Nº 5"},
            "Microsoft|BrandShareOfVoice|Konto|Nº 5",
            "a6ec64b8-a8ad-5241-a85a-29b96749adb4",
            KONTO,
        ),
        (
            {"EnrichmentProvider": "Leadspace", "EnrichmentType": " Company data ", "CustomerId": f" {SPELT} "},
            "Leadspace|Company data|{DADED4C8-40F7-40E0-AE7E-84083928E686}",
            "a332a3f1-f214-5033-a463-d370027d5a82",
            PLAIN,
        ),
        (
            {"EnrichmentProvider": "Anbieter Ö", "EnrichmentType": "Größe", "CustomerId": SPELT[1:-1].replace("-", "")},
            "Anbieter Ö|Größe|DADED4C840F740E0AE7E84083928E686",
            "0ab8df02-e811-58ef-bc6e-f06f709e56f1",
            PLAIN,
        ),
    ],
    "Prediction": [
        (
            {"Model": " Churn", "ModelProvider": "Contoso ", "CustomerId": "Konto|Nº 5"},
            "Churn|Contoso|Konto|Nº 5",
            "3490904f-fc3d-5fa5-8028-0317ebf49dc9",
            KONTO,
        ),
        (
            {"Model": "Wert", "ModelProvider": "Anbieter Ö", "CustomerId": SPELT},
            "Wert|Anbieter Ö|{DADED4C8-40F7-40E0-AE7E-84083928E686}",
            "fe4d6057-164f-59e0-bdf2-46ef922198e2",
            PLAIN,
        ),
        (
            {"Model": "UPSELL", "ModelProvider": "", "CustomerId": " C1 "},
            "UPSELL|Audience insights|C1",
            "e71e3461-e4c9-5f04-86d8-2ea07819fb7b",
            C1,
        ),
    ],
    "SegmentMembership": [
        (
            {"CustomerId": "Konto|Nº 5", "SegmentProvider": "", "SegmentMembershipType": "", "SegmentName": "VIP"},
            "Konto|Nº 5|Audience insights|Customer|Segments",
            "b0e40c91-3fa9-5cef-bc1f-2e15f59f251b",
            KONTO,
        ),
        (
            {"CustomerId": f"{SPELT} ", "SegmentProvider": "Marketing", "SegmentMembershipType": "Contact"}
            | {"SegmentName": "VIP"},
            "{DADED4C8-40F7-40E0-AE7E-84083928E686}|Marketing|Contact|Segments",
            "a2d80426-7806-5d97-a666-4b57bf74cc89",
            PLAIN,
        ),
        (
            {"CustomerId": "C1", "SegmentProvider": " Anbieter Ö", "SegmentMembershipType": "Account"}
            | {"SegmentName": "VIP"},
            "C1|Anbieter Ö|Account|Segments",
            "b4cdf4c7-a746-5dd4-9123-5f8c81a53059",
            C1,
        ),
    ],
}
CONTENT = {"AlternateKey": "KeyRing", "CustomerMeasure": "Measures", "Enrichment": "Values", "Prediction": "Values"}


def table(name: str, cells: dict[str, str]) -> Entity:
    """An entity of one row, with a header and every cell in quotes."""
    header = ",".join(cells)
    row = ",".join('"' + cell.replace('"', '""') + '"' for cell in cells.values())
    return Entity(name, list(cells), {"1.csv": f"{header}\n{row}\n"}, headers=True)


@pytest.mark.parametrize(("name", "vector"), [(name, vector) for name, found in VECTORS.items() for vector in found])
def test_names_rows_and_customers(tmp_path: Path, name: str, vector: Vector) -> None:
    cells, identifier, row_id, customer = vector
    lake = write_lake(tmp_path, "E", table("Customer", {"CustomerId": cells["CustomerId"]}))
    inputs: list[Input] = []
    if name != "CustomerProfile":
        content = {CONTENT[name]: "{}"} if name in CONTENT else {}
        write_lake(lake, "E", table("Some_Table", cells | content), process="other")
        inputs = [Input(name, "some_table", ready_made=True)]
    found = oracle.expected(lake, "E", [], audience="businesses", inputs=inputs)
    assert list(found.tables[name]) == [row_id]
    row = found.tables[name][row_id]
    assert row.get("msdynci_identifier") == identifier
    assert row["msdynci_customerid"] == cells["CustomerId"], "the cell is as the lake has it"
    if name != "CustomerProfile":
        assert row["_msdynci_lookupfield_customer_value"] == customer
        assert not any(found.rejected.values())
    if name == "ContactProfile":
        assert row["msdynci_id"] == row_id


@pytest.mark.parametrize("name", [name for name in VECTORS if name != "CustomerProfile"])
def test_rejects_rows_without_a_profile(tmp_path: Path, name: str) -> None:
    cells, _, row_id, customer = VECTORS[name][0]
    lake = write_lake(tmp_path, "E", table("Customer", {"CustomerId": "somebody else"}))
    content = {CONTENT[name]: "{}"} if name in CONTENT else {}
    write_lake(lake, "E", table("T", cells | content), process="other")
    sources = [Source("testdatasource", "contact1", "", "contact")] if name == "AlternateKey" else []
    found = oracle.expected(lake, "E", sources, audience="businesses", inputs=[Input(name, "T", ready_made=True)])
    assert not found.tables[name]
    assert list(found.rejected[name]) == [row_id]
    if name == "AlternateKey":
        assert found.links == {"contact": {}}
        assert found.rejected["contact"] == {oracle.guid("cntid_1078"): customer}


def test_a_lake_of_profiles_alone_has_no_other_rows(tmp_path: Path) -> None:
    lake = write_lake(tmp_path, "E", table("Customer", {"CustomerId": "C1"}))
    found = oracle.expected(lake, "E", [Source("CRM", "contact", "CustomerId", "contact")])
    assert set(found.tables) == set(oracle.TABLES)
    assert {name for name, rows in found.tables.items() if rows} == {"CustomerProfile", "AlternateKey"}
    [key] = found.alternate_keys.values()
    assert key["_msdynci_lookupfield_customer_value"] == C1
    assert found.task("contact") == found.links["contact"] == {C1: C1}


def test_expects_keys_rings_and_links(tmp_path: Path) -> None:
    keys = [source.key_column for source in oracle.SOURCES]
    customer = Entity("Customer", ["CustomerId", "Name", *keys], {"1.csv": 'C1,Zoë,b; a;,,"7"\nC2,,,l,\n'})
    found = oracle.expected(write_lake(tmp_path, "E", customer, bom=True), "E", oracle.SOURCES)
    names = {row["msdynci_customerid"]: row["msdynci_name"] for row in found.profiles.values()}
    assert names == {"C1": "Zoë", "C2": None}
    rings = {row["msdynci_identifier"]: row["msdynci_keyring"] for row in found.alternate_keys.values()}
    ring = '[{"dataSourceName":"CRM","entityName":"contact","preferredKey":"a","keys":["a","b"]}]'
    assert rings["CRM|contact|a"] == rings["CRM|contact|b"] == ring
    assert set(rings) == {"CRM|contact|a", "CRM|contact|b", "CRM|lead|l", "Shop|customers|7"}
    assert found.links == {
        "contact": {oracle.guid("a"): oracle.guid("C1"), oracle.guid("b"): oracle.guid("C1")},
        "lead": {oracle.guid("l"): oracle.guid("C2")},
    }


def test_the_lakes_own_keys_come_before_the_key_columns(tmp_path: Path) -> None:
    cells = {"DataSourceName": "CRM", "EntityName": "contact", "AlternateValue": "z", "CustomerId": "C1"}
    ring = '[ {"keys": ["z", "a"], "preferredKey": "z"} ]'
    lake = write_lake(tmp_path, "E", table("Customer", {"CustomerId": "C1", "CRM_contact_contactid": "a"}))
    write_lake(lake, "E", table("AlternateKey", cells | {"KeyRing": ring}), process="keys")
    found = oracle.expected(lake, "E", oracle.SOURCES[:1])
    [key] = found.alternate_keys.values()
    assert key["msdynci_keyring"] == ring
    assert found.links == {"contact": {oracle.guid("z"): C1}}


def test_a_ring_that_the_lake_lacks_is_made_of_all_keys_of_the_customer(tmp_path: Path) -> None:
    rows = "CRM,contact, z ,C1\nCRM,contact,A,C1\nCRM,contact,b,C2\nCRM,lead,c,C1\n"
    header = ("DataSourceName", "EntityName", "AlternateValue", "CustomerId")
    customers = Entity("Customer", ["CustomerId"], {"1.csv": "C1\nC2\n"})
    lake = write_lake(tmp_path, "E", customers, Entity("AlternateKey", header, {"1.csv": rows}))
    found = oracle.expected(lake, "E", []).alternate_keys.values()
    rings = {row["msdynci_identifier"]: row["msdynci_keyring"] for row in found}
    ring = '[{"dataSourceName":"CRM","entityName":"contact","preferredKey":"A","keys":["A","z"]}]'
    assert rings["CRM|contact|z"] == rings["CRM|contact|A"] == ring
    assert rings["CRM|contact|b"].endswith('"preferredKey":"b","keys":["b"]}]')
    assert rings["CRM|lead|c"].endswith('"preferredKey":"c","keys":["c"]}]')


def test_contacts_are_for_businesses_only(tmp_path: Path) -> None:
    cells = {"CustomerId": "C1", "ContactId": "1", "BirthDate": "1980-02-29", "FirstName": "Zoë"}
    lake = write_lake(tmp_path, "E", table("Customer", {"CustomerId": "C1"}), table("ContactProfile", cells))
    assert not oracle.expected(lake, "E", [], inputs=oracle.BUSINESS_SAMPLE).tables["ContactProfile"]
    [row] = oracle.expected(lake, "E", [], audience="businesses").tables["ContactProfile"].values()
    assert row["msdynci_birthdate"] == "1980-02-29T00:00:00Z"
    assert (row["msdynci_firstname"], row["msdynci_lastname"]) == ("Zoë", None)
    assert len(row) == 17 + 1, "the requirements' columns but the key, and the lookup"


def test_contacts_are_linked_to_the_account_that_they_are_mapped_to(tmp_path: Path) -> None:
    customers = Entity("Customer", ["CustomerId"], {"1.csv": "A1\nA2\n"})
    rows = f"{SPELT},A1,crm_Contact\n7,A2,ERP_contact\nk,A2,\nA1,A2,CRM_lead\n"
    contacts = Entity("ContactProfile", ["ContactId", "CustomerId", "EntityName"], {"1.csv": rows})
    header = ("DataSourceName", "EntityName", "AlternateValue", "CustomerId")
    keys = Entity("AlternateKey", header, {"1.csv": "CRM,contact,x,7\nCRM,contact,y,A1\nCRM,lead,z,k\n"})
    lake = write_lake(tmp_path, "E", customers, contacts, keys)
    sources = [Source("CRM", name, "", name) for name in ("contact", "lead")]
    a1, a2 = oracle.guid("A1"), oracle.guid("A2")
    assert oracle.expected(lake, "E", sources, audience="businesses").links == {
        "contact": {PLAIN: a1, oracle.guid("x"): a2, oracle.guid("y"): a1},
        "lead": {oracle.guid("z"): a2, a1: a2},
    }
    assert oracle.expected(lake, "E", sources).links == {"contact": {oracle.guid("y"): a1}, "lead": {}}


def test_activities_older_than_keep_days_are_left_out(tmp_path: Path) -> None:
    early = "C1,old,2026-01-01T00:59:59.9999999+01:00\nC1,edge,2026-01-01T00:00:00Z\n"
    rows = f"{early}C1,new,2026-01-02T00:00:00.25Z\nC1,when,\n"
    activity = Entity("UnifiedActivity", ["CustomerId", "ActivityId", "ActivityTimeStamp:dateTime"], {"1.csv": rows})
    lake = write_lake(tmp_path, "E", table("Customer", {"CustomerId": "C1"}), activity)

    def stamps(found: oracle.Expected) -> dict[str, str | None]:
        rows = found.tables["UnifiedActivity"].values()
        return {row["msdynci_activityid"]: row["msdynci_activitytimestamp"] for row in rows}

    kept = {"edge": "2026-01-01T00:00:00Z", "new": "2026-01-02T00:00:00Z", "when": None}
    assert stamps(oracle.expected(lake, "E", [])) == kept | {"old": "2025-12-31T23:59:59Z"}
    now = datetime(2026, 1, 31, tzinfo=UTC)
    assert stamps(oracle.expected(lake, "E", [], keep_days=30, now=now)) == kept


def test_measures_of_several_entities_are_one_object(tmp_path: Path) -> None:
    attributes = ["CustomerId", "b:int64", "É", "a:decimal", "Z:double"]
    wide = Entity("Customer_Measure", attributes, {"1.csv": 'C1,9007199254740993,"",1.50,0.1\nC2,,,,\n'})
    more = Entity("Measure_More", ["CustomerId", "_:boolean", "d:dateTime"], {"1.csv": "C1,True,2026-01-02\n"})
    customers = Entity("Customer", ["CustomerId"], {"1.csv": "C1\nC2\nC3\n"})
    lake = write_lake(tmp_path, "E", customers, wide, more)
    inputs = [Input("CustomerMeasure", "Customer_Measure"), Input("CustomerMeasure", "Measure_More")]
    found = {
        row["msdynci_customerid"]: row["msdynci_measures"]
        for row in oracle.expected(lake, "E", [], inputs=inputs).tables["CustomerMeasure"].values()
    }
    first = '{"Z":0.1,"_":true,"a":1.5,"b":9007199254740993,"d":"2026-01-02T00:00:00Z","É":""}'
    assert found == {"C1": first, "C2": "{}"}


def test_segments_are_unique_and_sorted_by_provider_and_type(tmp_path: Path) -> None:
    names = ("CustomerId", "SegmentProvider", "SegmentMembershipType", "SegmentName")
    rows = (
        'C1,Sales,Account,Ä\nC1,Sales,Account,a\nC1,Sales,Account,B\nC1,Sales,Account,Ä\nC1,Sales,Contact,"a ""b"""\n'
    )
    memberships = Entity("SegmentMembership", names, {"1.csv": rows})
    lake = write_lake(tmp_path, "E", table("Customer", {"CustomerId": "C1"}), memberships)
    found = oracle.expected(lake, "E", [], audience="businesses").tables["SegmentMembership"].values()
    segments = {row["msdynci_segmentmembershiptype"]: row["msdynci_segments"] for row in found}
    assert segments == {"Account": '["B","a","Ä"]', "Contact": '["a \\"b\\""]'}


def test_tells_the_difference() -> None:
    found = oracle.difference({"a": 1, "b": 1, "c": 1}, {"b": 2, "c": 1, "d": 1})
    assert found == oracle.Difference(frozenset("d"), frozenset("b"), frozenset("a"), frozenset("c"))
    assert found.writes == 3
