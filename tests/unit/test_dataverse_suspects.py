import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dataverse import suspects
from shared.dataverse.errors import classify

A, B, C = (f"{digit * 8}-0000-4000-8000-{digit * 12}" for digit in "abc")


def record(guid: str, **values: object) -> bytes:
    return json.dumps({"@odata.type": "Microsoft.Dynamics.CRM.contact", "contactid": guid, **values}).encode()


def test_the_key_is_read_and_not_mistaken_for_text() -> None:
    text = f'he said "contactid": "{B}"'
    tight = json.dumps({"note": text, "contactid": B.upper()}, separators=(",", ":")).encode()
    assert suspects.row_ids([record(A.upper(), note=text), tight], "contactid") == [A, B]
    with pytest.raises(ValueError, match="no contactid"):
        suspects.row_ids([json.dumps({"note": text}).encode()], "contactid")


@pytest.mark.parametrize(
    "text",
    [
        f'{{"contactid":"{A}","x":1.10}}',
        f'{{"x":1.10,"contactid":"{A}"}}',
        f'{{ "x" : 1.10 , "contactid" : "{A}" , "y" : "\\"contactid\\":\\"{B}\\"" }}',
    ],
)
def test_the_body_of_a_patch_has_no_key_and_is_untouched_otherwise(text: str) -> None:
    left = suspects.without_key(text.encode(), "contactid")
    values = json.loads(left)
    assert "contactid" not in values
    assert values["x"] == 1.1
    assert b"1.10" in left


def test_rows_named_by_guid_are_found_as_key_and_as_lookup() -> None:
    records = [record(A), record(B, **{"owner@odata.bind": f"users({C})"}), record(C)]
    assert suspects.named(classify(404, "0x80040217", f"user With Id = {C.upper()} Does Not Exist"), records) == [1, 2]


def test_texts_too_long_are_found_by_column_and_limit() -> None:
    message = "The length of the 'note' attribute of the 'contact' entity exceeded the maximum allowed length of '4'."
    records = [record(A, note="1234"), record(B, note="12345"), record(C, note="😀😀😀"), record(C)]
    assert suspects.named(classify(400, "0x80044331", message), records) == [1, 2]


def test_numbers_out_of_range_are_found_by_column_and_range() -> None:
    message = "The value -3.5 of 'n' on record of type 'contact' is outside the valid range. Accepted Values: 0 to 10."
    records = [record(A, n=0), record(B, n=-3.5), record(C, n=10), record(C, n=11), record(C, n=None)]
    assert suspects.named(classify(400, "0x80044330", message), records) == [1, 3]


def test_an_error_that_names_nothing_leaves_all_in_question() -> None:
    assert suspects.named(classify(400, "0x80040265", "Our plug-in says no."), [record(A)]) == []


def test_missing_rows_are_believed_only_if_all_named_are_rows_of_the_call() -> None:
    both = classify(404, "0x80040217", f"Contact With Ids = {A}, {B} Do Not Exist")
    assert suspects.missing(both, [A, B, C]) == {A, B}
    assert suspects.missing(both, [A, C]) == set()
    assert suspects.missing(classify(400, "0x80040265", f"Row {A} is odd."), [A]) == set()


NAMES = st.sampled_from(["contactid", "note", '"contactid"', 'x":"contactid', "\\", "ä"])
VALUES = st.none() | st.booleans() | st.integers() | st.text() | NAMES


@given(st.dictionaries(NAMES.filter(lambda name: name != "contactid"), VALUES), st.integers(0, 6), st.booleans())
def test_taking_the_key_away_leaves_every_other_value(values: dict[str, object], place: int, spaced: bool) -> None:  # noqa: FBT001
    pairs = list(values.items())
    pairs.insert(place, ("contactid", A))
    separators = (" , ", " : ") if spaced else (",", ":")
    text = json.dumps(dict(pairs), separators=separators, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert suspects.row_ids([text], "contactid") == [A]
    assert json.loads(suspects.without_key(text, "contactid")) == values
