"""What must be given before a source table is linked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.dataverse.metadata import Column, Lookup, Table
from shared.errors import RequirementError
from shared.linking import requirements, texts
from shared.linking.requirements import Key

PROFILE, LOOKUP = "abc_customerprofile", "abc_lookupfield_customerprofile"


def lookup(target: str, column: str = LOOKUP) -> Lookup:
    return Lookup(column, target, column, "Restrict", f"{column}_{target}")


CONTACT = Table(
    "contact", "Contact", "contacts", "contactid", "fullname", True, "Standard",  # noqa: FBT003
    {"contactid": Column("contactid", "Uniqueidentifier"), "code": Column("code", "String"),
     "number": Column("number", "Integer"), "born": Column("born", "DateTime")},
    (),
)  # fmt: skip


@pytest.mark.parametrize("named", [[], [""], ["contactid"], ["ContactId", ""], ["", ""]])
def test_the_primary_key_names_rows_whatever_its_case(named: list[str]) -> None:
    assert requirements.key_of(CONTACT, named, {}) == Key("contactid", is_primary=True)


@pytest.mark.parametrize("column", ["code", "number"])
def test_an_alternate_key_of_one_column_names_rows(column: str) -> None:
    assert requirements.key_of(CONTACT, [column.upper()], {column: "Active"}) == Key(column, is_primary=False)


@pytest.mark.parametrize(
    ("named", "keys", "told"),
    [
        (["code"], {}, "The key used in unification (code) is neither the primary key of contact (contactid)"),
        (["other"], {"other": "Active"}, "The key used in unification (other) is neither"),
        (["born"], {"born": "Active"}, "The key used in unification (born) is neither"),  # neither text nor number
        (["code"], {"code": "Pending"}, "(code) is an alternate key of contact, but its index is not active (Pending)"),
        (["code", "contactid"], {"code": "Active"}, "The sources of contact use different keys (code, contactid)"),
        (["code", ""], {"code": "Active"}, "The sources of contact use different keys (code, contactid)"),
    ],
)
def test_another_key_skips_the_table(named: list[str], keys: dict[str, str], told: str) -> None:
    with pytest.raises(RequirementError) as fault:
        requirements.key_of(CONTACT, named, keys)
    assert str(fault.value).startswith(f"{texts.NOT_LINKED}\n")
    assert told in str(fault.value)


@pytest.mark.parametrize("kind", ["Virtual", "Elastic"])
def test_only_standard_tables_are_linked(kind: str) -> None:
    requirements.check_kind(CONTACT)
    with pytest.raises(
        RequirementError, match=f"The table contact is of type {kind.lower()}: a lookup cannot be added"
    ):
        requirements.check_kind(replace(CONTACT, type=kind))


def test_a_lookup_that_is_missing_or_right_is_no_obstacle() -> None:
    requirements.check_lookup(CONTACT, LOOKUP, PROFILE)
    there = replace(CONTACT, columns={LOOKUP: Column(LOOKUP, "Lookup")}, lookups=(lookup(PROFILE), lookup("x", "y")))
    requirements.check_lookup(there, LOOKUP, PROFILE)


@pytest.mark.parametrize(
    ("targets", "kind", "told"),
    [
        (["account"], "Lookup", "exists as a lookup to account"),
        ([PROFILE, "account"], "Lookup", f"exists as a lookup to {PROFILE} and account"),
        ([], "String", "exists as a column of type String"),
    ],
)
def test_a_column_that_is_something_else_skips_the_table(targets: list[str], kind: str, told: str) -> None:
    there = replace(CONTACT, columns={LOOKUP: Column(LOOKUP, kind)}, lookups=tuple(map(lookup, targets)))
    said = f"The column {LOOKUP} of contact {told}; the links need a lookup to {PROFILE}."
    with pytest.raises(RequirementError, match=said):
        requirements.check_lookup(there, LOOKUP, PROFILE)


def test_a_lookup_whose_profile_would_take_the_row_with_it_is_not_used() -> None:
    deadly = replace(lookup(PROFILE), on_delete="Cascade")
    there = replace(CONTACT, columns={LOOKUP: Column(LOOKUP, "Lookup")}, lookups=(deadly,))
    with pytest.raises(
        RequirementError, match=f"lookup {LOOKUP} of contact exists with .* would delete its rows of contact"
    ):
        requirements.check_lookup(there, LOOKUP, PROFILE)


def test_privileges_that_are_lacking_are_named() -> None:
    requirements.check_privileges("contact", [], None)
    with pytest.raises(RequirementError, match="user 11 lacks prvWriteContact and prvAppendContact, which linking con"):
        requirements.check_privileges("contact", ["prvWriteContact", "prvAppendContact"], "11")
    with pytest.raises(RequirementError, match="user  lacks prvWriteContact"):
        requirements.check_privileges("contact", ["prvWriteContact"], None)
