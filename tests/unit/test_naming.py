"""Which entity belongs to which output table, and what it is called there."""

from __future__ import annotations

import pytest

from shared.lake.manifest import Entity
from shared.lake.snapshot import Snapshot
from shared.settings import OUTPUT_TABLES, Hydration, Input
from shared.tables.naming import PROVIDER, Part, claims, is_other, matches
from tests.support.catalogs import entity, hydration, only, snapshot

NOBODY = hydration()


def owners(found: Snapshot | Entity, configured: Hydration = NOBODY) -> dict[str, list[str]]:
    """The tables that have entities, and their names."""
    made = snapshot([found]) if isinstance(found, Entity) else found
    return {
        table: [part.entity.name for _, part in candidates]
        for table, candidates in claims(made, configured).items()
        if candidates
    }


def part(found: Entity, configured: Hydration = NOBODY) -> Part:
    [[(_, only_one)]] = [one for one in claims(snapshot([found]), configured).values() if one]
    return only_one


# -- by name -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("CustomerProfile", "Customer"),
        ("CustomerProfile", "CustomerProfile"),
        ("ContactProfile", "ContactProfile"),
        ("ContactProfile", "UnifiedContact"),
        ("AlternateKey", "AlternateKey"),
        ("UnifiedActivity", "UnifiedActivity"),
        ("CustomerMeasure", "Customer_Measure"),
        ("CustomerMeasure", "CustomerMeasure"),
        ("CustomerMeasure", "Measure_LifetimeValue"),
        ("Enrichment", "Enrichment"),
        ("Enrichment", "Enrichment_Interests"),
        ("Enrichment", "BrandShareOfVoiceFromMicrosoft"),
        ("Prediction", "Prediction"),
        ("Prediction", "Prediction_Churn"),
        ("Prediction", "Model_Churn"),
        ("SegmentMembership", "SegmentMembership"),
        ("SegmentMembership", "Segment_VIP"),
        ("SegmentMembership", "Segment_漢字 (neu)\n2"),
    ],
)
def test_entities_are_known_by_their_names_in_any_case(table: str, name: str) -> None:
    for spelled in (name, name.lower(), name.upper()):
        assert owners(entity(spelled, "CustomerId")) == {table: [spelled]}


@pytest.mark.parametrize(
    "name",
    [
        "Customers",
        "Customer_Measures",
        "UnifiedActivity_CRM",
        "AlternateKeys",
        "MySegment",
        "Segments",
        "Segment",
        "FromMicrosoftX",
        "Orders_Measure_x",
        "EnrichmentX",
        "PredictionX",
        "ModelX",
        "A Customer",
    ],
)
def test_names_that_are_only_alike_belong_to_no_table(name: str) -> None:
    assert owners(entity(name, "CustomerId")) == {}


@pytest.mark.parametrize(
    ("pattern", "name", "matched"),
    [
        ("Segment_*", "segment_", True),
        ("*", "", True),
        ("*", "a\nb", True),
        ("a*c", "abbc", True),
        ("a*c", "abbcd", False),
        ("*_*", "x_y", True),
        ("*_*", "xy", False),
        ("A.C", "abc", False),
        ("[ab]+(c)", "[AB]+(C)", True),
        ("É", "é", True),
        ("abc", "abc ", False),
    ],
)
def test_a_star_stands_for_any_text_and_nothing_else_for_more_than_itself(
    pattern: str,
    name: str,
    matched: bool,  # noqa: FBT001
) -> None:
    assert matches(name, pattern) is matched


# -- by annotation -------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", OUTPUT_TABLES)
@pytest.mark.parametrize("note", ["OutputTable", "c360:outputTable", "a:b:OUTPUTTABLE"])
def test_an_annotation_decides_whatever_its_prefix_and_case(table: str, note: str) -> None:
    for text in (table, table.upper()):
        assert owners(entity("Anything", "CustomerId", notes={note: text})) == {table: ["Anything"]}


def test_an_annotation_is_stronger_than_a_name() -> None:
    assert owners(entity("Segment_VIP", "CustomerId", notes={"OutputTable": "Enrichment"})) == {
        "Enrichment": ["Segment_VIP"]
    }


def test_an_annotation_of_another_name_says_nothing() -> None:
    notes = {"OutputTables": "Prediction", "outputtable:x": "Prediction", "Table": "Prediction"}
    assert owners(entity("Segment_VIP", "CustomerId", notes=notes)) == {"SegmentMembership": ["Segment_VIP"]}


def test_an_annotation_that_names_no_table_takes_the_entity_out() -> None:
    assert owners(entity("Segment_VIP", "CustomerId", notes={"OutputTable": "none"})) == {}


@pytest.mark.parametrize(
    ("table", "notes", "expected"),
    [
        ("Enrichment", {"Provider": "Leadspace", "Type": "Firmographics"}, ("Leadspace", "Firmographics", "Customer")),
        ("Prediction", {"x:provider": "AutoML", "x:MODEL": "Churn"}, ("AutoML", "Churn", "Customer")),
        (
            "SegmentMembership",
            {"provider": "Journeys", "SEGMENT": "VIP", "type": "Contact"},
            ("Journeys", "VIP", "Contact"),
        ),
        ("Enrichment", {"Model": "a", "Segment": "b"}, (PROVIDER, "Anything", "Customer")),
        ("Prediction", {"Type": "a"}, (PROVIDER, "Anything", "Customer")),
    ],
)
def test_annotations_say_provider_type_model_and_segment(
    table: str, notes: dict[str, str], expected: tuple[str, str, str]
) -> None:
    found = part(entity("Anything", "CustomerId", notes={"OutputTable": table} | notes))
    assert (found.provider, found.title, found.membership) == expected


def test_annotations_of_an_entity_that_its_name_tells_are_read_too() -> None:
    found = part(entity("Model_Churn", "CustomerId", notes={"Provider": "AutoML", "Model": "Churn risk"}))
    assert (found.provider, found.title) == ("AutoML", "Churn risk")


def test_what_annotations_say_stands_without_the_spaces_around_it_in_identifiers() -> None:
    found = part(entity("Model_Churn", "CustomerId", notes={"Provider": " AutoML ", "Model": "\tChurn\n"}))
    assert (found.provider, found.title) == ("AutoML", "Churn")
    blank = part(entity("Model_Churn", "CustomerId", notes={"Provider": " ", "Model": ""}))
    assert (blank.provider, blank.title) == (PROVIDER, "Churn")


# -- by hydration.toml ---------------------------------------------------------------------------------


def test_hydration_toml_is_the_only_source_of_its_table() -> None:
    made = snapshot(
        [
            entity("Segment_A", "CustomerId"),
            entity("B", "CustomerId", notes={"OutputTable": "SegmentMembership"}),
            entity("Mine", "CustomerId"),
            entity("Model_C", "CustomerId"),
        ]
    )
    assert owners(made, hydration(SegmentMembership=only("mine"))) == {
        "SegmentMembership": ["Mine"],
        "Prediction": ["Model_C"],
    }


def test_hydration_toml_is_stronger_than_annotation_and_name() -> None:
    found = entity("Segment_A", "CustomerId", notes={"OutputTable": "SegmentMembership"})
    assert owners(found, hydration(Enrichment=only("Segment_A"))) == {"Enrichment": ["Segment_A"]}


def test_hydration_toml_may_name_what_is_else_left_alone() -> None:
    assert owners(entity("Deduplication_x", "CustomerId"), hydration(Enrichment=only("Deduplication_*"))) == {
        "Enrichment": ["Deduplication_x"]
    }


@pytest.mark.parametrize("table", OUTPUT_TABLES)
def test_every_table_can_be_named(table: str) -> None:
    assert owners(entity("Mine", "CustomerId"), hydration(**{table: only("Mine")})) == {table: ["Mine"]}


def test_patterns_and_names_in_the_order_of_the_file() -> None:
    names = ("Zeta", "Sales_B", "Sales_A", "sales_special", "Else")
    made = snapshot([entity(name, "CustomerId") for name in names])
    special = Input("Sales_Special", "Journeys", "Special")
    configured = hydration(SegmentMembership=only(special, "Sales_*", "zeta"))
    assert owners(made, configured) == {"SegmentMembership": ["sales_special", "Sales_B", "Sales_A", "Zeta"]}
    parts = {part.entity.name: part for _, part in claims(made, configured)["SegmentMembership"]}
    assert (parts["sales_special"].provider, parts["sales_special"].title) == ("Journeys", "Special")
    assert (parts["Sales_A"].provider, parts["Sales_A"].title) == (PROVIDER, "Sales_A")


def test_an_entity_belongs_to_the_first_table_that_claims_it_and_to_no_other() -> None:
    configured = hydration(Prediction=only("Mine*"), SegmentMembership=only("Mine_*"))
    assert owners(entity("Mine_A", "CustomerId"), configured) == {"Prediction": ["Mine_A"]}


def test_a_name_counts_before_a_pattern_wherever_it_stands() -> None:
    mine = Input("ChurnB", "Contoso", "B")
    configured = hydration(Prediction=only("Churn*", mine), Enrichment=only("C*"))
    made = snapshot([entity(name, "CustomerId") for name in ("ChurnA", "ChurnB", "Cities")])
    parts = {part.entity.name: part for found in claims(made, configured).values() for _, part in found}
    assert (parts["ChurnB"].provider, parts["ChurnB"].title) == ("Contoso", "B")
    assert owners(made, configured) == {"Enrichment": ["ChurnA", "Cities"], "Prediction": ["ChurnB"]}


def test_an_entity_of_several_manifests_belongs_to_one_table() -> None:
    older, newer = (entity("Segment_X", "CustomerId", notes=notes) for notes in ({}, {"OutputTable": "Prediction"}))
    assert set(owners(snapshot({"Old": [older], "New": [newer]}))) == {"Prediction"}


def test_inline_tables_name_everything() -> None:
    enrichment = Input("Mine", "Leadspace", "Firmographics")
    found = part(entity("Mine", "CustomerId"), hydration(Enrichment=only(enrichment)))
    assert (found.provider, found.title) == ("Leadspace", "Firmographics")
    segment = Input("Mine", "Journeys", "VIP", "Contact")
    found = part(entity("Mine", "CustomerId"), hydration(SegmentMembership=only(segment)))
    assert (found.provider, found.title, found.membership) == ("Journeys", "VIP", "Contact")


# -- titles, providers and types -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "provider", "title"),
    [
        ("Enrichment_Interests", PROVIDER, "Interests"),
        ("enrichment_interests", PROVIDER, "interests"),
        ("BrandShareOfVoiceFromMicrosoft", "Microsoft", "BrandShareOfVoice"),
        ("LettersFromFriendsFromMicrosoft", "Microsoft", "LettersFromFriends"),
        ("Prediction_Churn_2", PROVIDER, "Churn_2"),
        ("Model_Churn", PROVIDER, "Churn"),
        ("MODEL_CHURN", PROVIDER, "CHURN"),
        ("Segment_VIP", PROVIDER, "VIP"),
        ("Segment_漢字 (neu)\n2", PROVIDER, "漢字 (neu)\n2"),
        ("Enrichment", PROVIDER, "Enrichment"),
        ("Segment_Segment_VIP", PROVIDER, "Segment_VIP"),
        ("Segment_VisitorsFromParis", PROVIDER, "VisitorsFromParis"),
        ("Model_x|y", PROVIDER, "x|y"),
    ],
)
def test_titles_and_providers_are_told_by_the_name(name: str, provider: str, title: str) -> None:
    found = part(entity(name, "CustomerId"))
    assert (found.provider, found.title) == (provider, title)


def test_from_somewhere_is_a_provider_of_enrichments_only() -> None:
    found = part(entity("VisitorsFromParis", "CustomerId"), hydration(SegmentMembership=only("VisitorsFromParis")))
    assert (found.provider, found.title) == (PROVIDER, "VisitorsFromParis")
    found = part(entity("VisitsFromAcme", "CustomerId"), hydration(Enrichment=only("*From*")))
    assert (found.provider, found.title) == ("Acme", "Visits")


@pytest.mark.parametrize(
    ("businesses", "columns", "expected"),
    [
        (False, ("CustomerId",), "Customer"),
        (False, ("CustomerId", "ContactId"), "Customer"),
        (True, ("CustomerId",), "Account"),
        (True, ("CustomerId", "ContactId"), "Contact"),
        (True, ("CustomerId", "CONTACTID"), "Contact"),
    ],
)
def test_members_are_customers_or_in_a_business_environment_accounts_and_contacts(
    businesses: bool,  # noqa: FBT001
    columns: tuple[str, ...],
    expected: str,
) -> None:
    assert part(entity("Segment_VIP", *columns), hydration(businesses=businesses)).membership == expected
    named = entity("Segment_VIP", *columns, notes={"Type": "Lead"})
    assert part(named, hydration(businesses=businesses)).membership == "Lead"


# -- others --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["Deduplication_x", "DEDUPLICATION_", "ConflationMatchPairs", "ContactsConflationMatchPairs", "_x", ".x"]
)
def test_what_unification_leaves_behind_is_known(name: str) -> None:
    assert is_other(name, NOBODY)
    assert owners(entity(name, "CustomerId")) == {}


@pytest.mark.parametrize("name", ["ConflationMatchPairs2", "x_Deduplication_", "Orders"])
def test_anything_else_is_not_known(name: str) -> None:
    assert not is_other(name, NOBODY)
