"""SegmentMembership: the sorted list of the segments of a customer, by provider and type."""

from __future__ import annotations

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.settings import Input
from tests.support.catalogs import hydration, only
from tests.support.outputs import BOUND, Cells, Delivered, delivered, output

GUID = "6b1e5d0c-6f4e-5c58-9b0a-3a8e0d2c7f41"
SPELLED = "{6B1E5D0C-6F4E-5C58-9B0A-3A8E0D2C7F41}"
ODD = "Mü|ller 漢😀"
# By openssl, from the text that is named beside each.
C1 = "52d9ce3e-b428-5ef5-94a0-c9de3f84c60e"  # C-1
ONE = "b30b24f9-ab86-5c01-922e-0aefcf05f6c4"  # C-1|Audience insights|Customer|Segments
TWO = "11335396-6260-558b-ae2a-8bfc9669960a"  # C-2|Audience insights|Customer|Segments
JOURNEYS = "8f04de7a-3f90-50e9-8b70-7b55bf244a71"  # C-1|Journeys|Contact|Segments
CONTACT = "2a466dce-21d3-562f-b2a3-218cdf3b73e1"  # C-1|Audience insights|Contact|Segments
ACCOUNT = "74820c6c-0034-5f7c-95d7-17246abf51c4"  # C-1|Audience insights|Account|Segments
OF_ODD = "c0d31800-5773-5250-8ba9-fd99678cc564"  # Mü|ller 漢😀|Audience insights|Customer|Segments
OF_GUID = "0e969631-eeb2-551f-aa53-1ad1f1ecb2fb"  # 6b1e...|Audience insights|Customer|Segments


def segment(name: str, *customers: str, columns: tuple[str, ...] = ()) -> Delivered:
    return delivered(name, ("CustomerId", *columns), *((customer, *columns) for customer in customers))


def memberships(columns: tuple[str, ...], *rows: Cells) -> Delivered:
    return delivered("SegmentMembership", ("CustomerId", *columns), *rows)


def lists(*contents: Delivered) -> dict[str, str]:
    found = output("SegmentMembership", *contents)
    assert not found.faults
    return found.cells("segments")


# -- a table for each segment --------------------------------------------------------------------------


def test_a_membership_is_a_record_with_every_column() -> None:
    contents = segment("Segment_VIP", "C-1"), segment("Segment_Big spender", "C-1", columns=("Name", "Spent:decimal"))
    assert output("SegmentMembership", *contents).only == {
        "@odata.type": "Microsoft.Dynamics.CRM.msdynci_segmentmembership",
        "msdynci_segmentmembershipid": ONE,
        "msdynci_customerid": "C-1",
        "msdynci_identifier": "C-1|Audience insights|Customer|Segments",
        "msdynci_segmentmembershiptype": "Customer",
        "msdynci_segmentprovider": "Audience insights",
        "msdynci_segments": '["Big spender","VIP"]',
        BOUND: f"/msdynci_customerprofiles({C1})",
    }


def test_each_customer_has_the_list_of_its_segments() -> None:
    contents = segment("Segment_B", "C-1", "C-2", "C-1"), segment("Segment_A", "C-1"), segment("Segment_C")
    assert lists(*contents) == {ONE: '["A","B"]', TWO: '["B"]'}


def test_segments_are_unique_and_in_the_order_of_their_code_points() -> None:
    names = ["b", "C", "é", "漢", "\uffee", "😀", 'q"', "it's", "\\", "a|b", "1"]
    contents = [segment(f"Segment_{name}", " C-1") for name in names]
    [found] = lists(*contents, memberships(("SegmentName",), *(("C-1", name) for name in names))).values()
    assert found == json.dumps(sorted(names), ensure_ascii=False, separators=(",", ":"))


def test_one_segment_of_several_entities_is_one_membership() -> None:
    configured = hydration(SegmentMembership=only(Input("A", title="VIP"), Input("B", title="VIP")))
    found = output("SegmentMembership", segment("A", "C-1"), segment("B", "C-1", "C-2"), configured=configured)
    assert found.cells("segments") == {ONE: '["VIP"]', TWO: '["VIP"]'}


@pytest.mark.parametrize(
    ("customers", "guid", "identified"),
    [
        (["C-1", " C-1\t"], ONE, "C-1"),
        ([ODD], OF_ODD, ODD),
        ([SPELLED, GUID], OF_GUID, GUID),
    ],
)
def test_one_customer_in_several_spellings_is_one_row(customers: list[str], guid: str, identified: str) -> None:
    contents = [segment(f"Segment_{place}", customer) for place, customer in enumerate(customers)]
    for order in (contents, contents[::-1]):
        found = output("SegmentMembership", *order, profiles=["C-1", ODD, GUID])
        assert found.record(guid)["msdynci_identifier"] == f"{identified}|Audience insights|Customer|Segments"
        assert json.loads(found.only["msdynci_segments"]) == [str(place) for place in range(len(customers))]


# -- providers and types -------------------------------------------------------------------------------


def test_each_provider_and_type_has_a_row_of_its_own() -> None:
    configured = hydration(
        SegmentMembership=only(
            "Segment_*", Input("J", "Journeys", "Mails", "Contact"), Input("K", membership="Contact")
        )
    )
    contents = segment("Segment_A", "C-1"), segment("J", "C-1"), segment("K", "C-1")
    found = output("SegmentMembership", *contents, configured=configured)
    assert found.cells("segments") == {ONE: '["A"]', JOURNEYS: '["Mails"]', CONTACT: '["K"]'}
    assert found.cells("segmentprovider")[JOURNEYS] == "Journeys"
    assert found.cells("segmentmembershiptype")[JOURNEYS] == "Contact"


def test_in_a_business_environment_members_are_accounts_and_contacts() -> None:
    contents = segment("Segment_A", "C-1"), segment("Segment_B", "C-1", columns=("ContactId",))
    found = output("SegmentMembership", *contents, configured=hydration(businesses=True))
    assert found.cells("segments") == {ACCOUNT: '["A"]', CONTACT: '["B"]'}


# -- ready-made ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["SegmentName", "Segment", "Name", "segmentname"])
def test_a_table_with_one_row_a_membership(column: str) -> None:
    data = memberships((column,), ("C-1", " B "), ("C-1", "A"), ("C-1", "B"), ("C-2", "A"))
    assert lists(data) == {ONE: '["A","B"]', TWO: '["A"]'}


def test_a_table_of_memberships_names_provider_and_type_in_its_rows() -> None:
    columns = ("SegmentName", "SegmentProvider", "SegmentMembershipType", "Identifier", "SegmentMembershipId")
    rows: list[Cells] = [
        ("C-1", "A", " Journeys ", "Contact", "wrong", GUID),
        ("C-1", "B", "", None, None, None),
        ("C-1", "C", "Journeys", "Contact", None, None),
    ]
    assert lists(memberships(columns, *rows)) == {JOURNEYS: '["A","C"]', ONE: '["B"]'}


@pytest.mark.parametrize("name", [None, "", " "])
def test_a_membership_that_names_no_segment_rejects_its_customer(name: str | None) -> None:
    found = output("SegmentMembership", memberships(("SegmentName",), ("C-1", "A"), ("C-1", name), ("C-2", "A")))
    assert found.fault == "SegmentName: the row names no segment"
    assert found.cells("segments") == {TWO: '["A"]'}


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('["b", "a", "b"]', '["a","b"]'),
        ('[ "a\\u00e9" , "\\"" ]', '["\\"","aé"]'),
        ("[]", "[]"),
        ('["a", null]', '["a"]'),
        ("", "[]"),
        (None, "[]"),
    ],
)
def test_a_table_with_a_list_of_segments(cell: str | None, expected: str) -> None:
    assert lists(memberships(("Segments",), ("C-1", cell), ("C-2", '["z"]'))) == {ONE: expected, TWO: '["z"]'}


def test_lists_of_one_customer_are_one_list() -> None:
    data = memberships(
        ("Segments", "SegmentProvider"), ("C-1", '["b"]', None), (" C-1", '["a"]', ""), ("C-1", "[]", None)
    )
    assert lists(data) == {ONE: '["a","b"]'}
    assert lists(data, segment("Segment_c", "C-1", "C-2")) == {ONE: '["a","b","c"]', TWO: '["c"]'}


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        ('["a"', "Segments: this is not valid JSON"),
        ("VIP", "Segments: this is not valid JSON"),
        ('["a",]', "Segments: this is not valid JSON"),
        ('{"a":1}', "Segments: this is not a list"),
        ('"a"', "Segments: this is not a list"),
        ("null", "Segments: this is not a list"),
    ],
)
def test_a_list_that_is_none_rejects_its_customer_and_no_other(cell: str, fault: str) -> None:
    found = output("SegmentMembership", memberships(("Segments",), ("C-1", cell), ("C-1", '["a"]'), ("C-2", '["z"]')))
    assert found.fault == fault
    assert found.cells("segments") == {TWO: '["z"]'}


def test_a_list_that_is_too_long_rejects_its_customer() -> None:
    name = "x" * (1_048_576 - len('[""]'))
    found = output("SegmentMembership", memberships(("SegmentName",), ("C-1", name), ("C-2", name + "x")))
    assert list(found.records) == [ONE]
    assert found.fault == "msdynci_segments: the text is 1048577 long, the column takes 1048576"


rows_drawn = st.lists(
    st.tuples(
        st.sampled_from(["C-1", " C-1", GUID, SPELLED, "C-9"]),
        st.sampled_from(["a", "b", "é", "😀", None]),
        st.sampled_from([None, "Journeys", " "]),
    ),
    max_size=9,
)


@settings(max_examples=15, deadline=None)
@given(rows_drawn, st.lists(st.sampled_from(["C-1", SPELLED, GUID]), max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_entities_changes_nothing(rows: list[Cells], members: list[str], seed: Random) -> None:
    columns = ("Segment", "SegmentProvider")
    shuffled = list(rows), list(members)
    for one in shuffled:
        seed.shuffle(one)
    profiles = ["C-1", GUID]
    found = output("SegmentMembership", memberships(columns, *rows), segment("Segment_x", *members), profiles=profiles)
    again = output(
        "SegmentMembership", segment("Segment_x", *shuffled[1]), memberships(columns, *shuffled[0]), profiles=profiles
    )
    assert found == again
