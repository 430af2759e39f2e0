"""How many rows a call takes."""

import pytest

from shared.dataverse.sizing import CALL_SECONDS, FIRST_ROWS, MOST_ROWS, Sizes, Sizing
from shared.errors import ThrottledError


def answered(sizing: Sizing, calls: int, *, request: float, row: float) -> Sizing:
    """After so many calls to a Dataverse that takes so many seconds a request and a row."""
    for _ in range(calls):
        rows = sizing.rows()
        sizing.answered(rows, request + row * rows)
    return sizing


@pytest.mark.parametrize(("row", "rows"), [(0.01, 400), (0.04, 100), (0.2, 20), (8.0, 1)])
def test_a_call_comes_to_last_as_long_as_it_should(row: float, rows: int) -> None:
    assert answered(Sizing(), 40, request=0.0, row=row).rows() == pytest.approx(rows, abs=2)


def test_a_fast_dataverse_gets_the_most_rows_within_ten_calls() -> None:
    assert answered(Sizing(), 10, request=0.05, row=0.0001).rows() == MOST_ROWS


def test_a_setting_caps_the_rows() -> None:
    sizing = answered(Sizes(most=300).bulk("contacts", "UpdateMultiple"), 20, request=0.0, row=0.0)
    assert sizing.rows() == 300


def test_one_slow_answer_does_not_undo_what_was_learnt() -> None:
    sizing = answered(Sizing(), 20, request=0.0, row=0.001)
    sizing.answered(sizing.rows(), 100.0)
    assert sizing.rows() == MOST_ROWS * 0.75


def test_the_rest_of_a_chunk_teaches_nothing() -> None:
    sizing = Sizing()
    sizing.answered(FIRST_ROWS // 3, 30.0)
    assert sizing.rows() == FIRST_ROWS


def test_a_call_that_took_too_long_is_halved_and_grows_again() -> None:
    sizing = answered(Sizing(), 20, request=0.0, row=0.0)
    sizing.too_large(800)
    assert sizing.rows() == 400
    assert answered(sizing, 20, request=0.0, row=0.0).rows() == MOST_ROWS


def test_what_was_refused_for_its_size_is_not_sent_again() -> None:
    sizing = answered(Sizing(), 20, request=0.0, row=0.0)
    records = [b"x" * 1_000] * MOST_ROWS
    assert sizing.reach(records, 0) == MOST_ROWS
    sizing.refused_size(800_000)
    assert sizing.reach(records, 0) == 400
    assert sizing.reach(records, 900) == MOST_ROWS
    answered(sizing, 20, request=0.0, row=0.0)
    assert sizing.reach(records, 0) == 400


def test_a_row_that_is_too_large_by_itself_is_sent_alone_and_does_not_narrow_the_others() -> None:
    sizing = answered(Sizing(), 20, request=0.0, row=0.0)
    for size in (1_700_000, 1_300_000, 1_100_000):  # halves, down to the row
        sizing.refused_size(size)
    records = [b"x" * 1_000_000, *[b"x" * 1_000] * 600]
    assert sizing.reach(records, 0) == 1
    assert sizing.reach(records, 1) == 551


def test_no_refusal_makes_calls_smaller_than_anything_refuses() -> None:
    sizing = answered(Sizing(), 20, request=0.0, row=0.0)
    for _ in range(9):
        sizing.refused_size(200)
    assert sizing.reach([b"x" * 100] * MOST_ROWS, 0) == MOST_ROWS


def test_a_single_row_is_the_least() -> None:
    sizing = Sizing()
    for _ in range(20):
        sizing.too_large(sizing.rows())
    assert answered(sizing, 3, request=9.0, row=9.0).rows() == 1


def test_a_refusal_teaches_only_what_is_too_large() -> None:
    sizing = Sizing()
    for _ in range(20):
        sizing.took_at_least(sizing.rows(), 0.1)
    assert sizing.rows() == FIRST_ROWS
    sizing.took_at_least(FIRST_ROWS, CALL_SECONDS * 3)
    assert sizing.rows() < FIRST_ROWS


def test_slower_ways_teach_only_what_is_too_small() -> None:
    sizing = Sizing()
    sizing.took_at_most(250, 250 * CALL_SECONDS / 50)
    assert sizing.rows() == FIRST_ROWS
    for _ in range(20):
        sizing.took_at_most(250, 250 * CALL_SECONDS / 200)
    assert sizing.rows() == pytest.approx(200, abs=2)


def test_too_many_requests_make_calls_longer_but_not_without_end() -> None:
    sizing = answered(Sizing(), 40, request=0.0, row=CALL_SECONDS / 100)
    for _ in range(10):
        sizing.fewer_requests()
    assert answered(sizing, 40, request=0.0, row=CALL_SECONDS / 100).rows() == pytest.approx(400, abs=2)


@pytest.mark.parametrize(("code", "longer"), [("0x80072322", True), ("0x80072321", False), ("", False)])
def test_only_too_many_requests_make_calls_longer(code: str, longer: bool) -> None:  # noqa: FBT001
    sizing = answered(Sizing(), 40, request=0.0, row=CALL_SECONDS / 100)
    with pytest.raises(ThrottledError), sizing.learning():
        raise ThrottledError("wait", 1.0, code=code)
    assert (answered(sizing, 40, request=0.0, row=CALL_SECONDS / 100).rows() > 120) is longer


def test_the_chance_of_a_clean_call_follows_the_share_refused() -> None:
    sizing = Sizing()
    assert sizing.clean_chance(MOST_ROWS) == 1
    sizing.refused(1_000, 10)
    assert sizing.clean_chance(100) == pytest.approx(0.99**100)
    sizing.refused(1_000, 0)
    assert sizing.clean_chance(100) == 1, "what was known is outdated"


def test_a_few_clean_rows_are_no_surprise() -> None:
    sizing = Sizing()
    sizing.refused(1_000, 10)
    sizing.refused(100, 0)
    assert sizing.clean_chance(1) == pytest.approx(1 - 10 / 1_100)


def test_each_kind_of_call_to_each_table_learns_for_itself() -> None:
    sizes = Sizes()
    answered(sizes.bulk("contacts", "UpsertMultiple"), 20, request=0.0, row=0.0)
    assert sizes.bulk("contacts", "UpsertMultiple").rows() == MOST_ROWS
    assert sizes.bulk("contacts", "UpdateMultiple").rows() == FIRST_ROWS
    assert sizes.bulk("accounts", "UpsertMultiple").rows() == FIRST_ROWS
