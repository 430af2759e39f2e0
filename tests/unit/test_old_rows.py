"""Rows that are too old: they are removed, and what left the snapshot is held or kept beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.delta.compare import BRAKE_ROWS, Policy
from tests.support.deltas import REMOVE, Row, Table, all_sent, entry, guid

POLICIES = [Policy(), Policy(full=True), Policy(remove=False), Policy(brake_percent=0), Policy(hold="why not")]
of_every_policy = pytest.mark.parametrize("policy", POLICIES, ids=["normal", "full", "keep", "brake", "hold"])
A = entry("a")


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


@of_every_policy
def test_an_old_row_is_removed_whatever_the_policy(table: Table, policy: Policy) -> None:
    table.holds({guid(1): (A, ""), guid(2): (A, "")})
    plan = table.plan([Row(1, "a", old=True), Row(2, "a"), Row(3, "a", old=True)], policy)
    assert plan.ids("remove") == [guid(1)]
    delta = plan.delta
    assert (delta.expired, delta.removed, delta.gone, delta.held, delta.kept) == (2, 1, 0, 0, 0)
    assert delta.created + delta.changed + delta.unchanged + delta.rejected == 1
    assert plan.removals == [(delta.write_chunks + 1, [guid(1).encode()])]
    assert [row[4] for row in plan.rows if row[1] == "remove"] == [REMOVE]
    table.conclude(all_sent(plan))
    assert table.content() == {guid(2): (A, "")}


def test_however_many_rows_are_too_old_the_brake_does_not_hold_them(table: Table) -> None:
    known = 5 * BRAKE_ROWS
    table.holds({guid(number): (A, "") for number in range(known)})
    plan = table.plan([Row(number, "a", old=True) for number in range(known)], Policy(brake_percent=1))
    assert (plan.delta.removed, plan.delta.held, plan.delta.expired) == (known, 0, known)


@pytest.mark.parametrize(
    ("policy", "going"),
    [
        (Policy(brake_percent=100), True),
        (Policy(remove=False), False),
        (Policy(hold="why not"), False),
        (Policy(brake_percent=0), False),
    ],
)
def test_rows_that_left_the_snapshot_are_held_or_kept_beside_old_ones_that_go(
    table: Table,
    policy: Policy,
    going: bool,  # noqa: FBT001
) -> None:
    gone = range(1_000, 1_000 + BRAKE_ROWS + 1)
    table.holds({guid(number): (A, "") for number in [1, 2, *gone]})
    plan = table.plan([Row(1, "a", old=True), Row(2, "a")], policy)
    assert set(plan.ids("remove")) == {guid(1)} | ({guid(number) for number in gone} if going else set())
    assert plan.ids("keep") == ([] if policy.remove else [guid(number) for number in gone])
    assert plan.delta.removed == len(plan.ids("remove"))
    assert (plan.delta.gone, plan.delta.expired) == (len(gone), 1)
    assert plan.delta.held == (0 if going or not policy.remove else len(gone))


def test_old_rows_do_not_count_as_gone_before_the_brake(table: Table) -> None:
    table.holds({guid(number): (A, "") for number in range(1_000)})
    old = [Row(number, "a", old=True) for number in range(500)]
    kept = [Row(number, "a") for number in range(500 + BRAKE_ROWS, 1_000)]
    plan = table.plan([*old, *kept])
    assert (plan.delta.gone, plan.delta.held, plan.delta.removed) == (BRAKE_ROWS, 0, 500 + BRAKE_ROWS)


def test_an_old_row_that_is_none_of_ours_is_counted_and_nothing_else(table: Table) -> None:
    plan = table.plan([Row(1, "a", old=True)])
    assert (plan.delta.expired, plan.delta.removed, plan.rows) == (1, 0, [])


def test_a_row_that_is_young_again_is_created_again(table: Table) -> None:
    table.holds({guid(1): (A, "")})
    table.conclude(all_sent(table.plan([Row(1, "a", old=True)])))
    assert table.content() == {}
    assert table.plan([Row(1, "a")]).ids("create") == [guid(1)]


def test_of_rows_with_one_key_a_valid_one_stays_before_a_faulty_one_and_a_young_one_before_an_old_one(
    table: Table,
) -> None:
    rows = [
        Row(1, "a", old=True),
        Row(1, "b"),
        Row(1, "c", fault="x: bad"),
        Row(2, "d", old=True),
        Row(2, "d", old=True),
    ]
    for order in (rows, rows[::-1], [*rows[2:], *rows[:2]]):
        plan = table.plan(order)
        assert (plan.duplicates, plan.delta.created, plan.delta.rejected, plan.delta.expired) == (3, 1, 0, 1)
        [(_, [record])] = plan.writes
        assert json.loads(record)["content"] == "b"


def test_an_uncertain_old_row_is_removed(table: Table) -> None:
    table.holds({guid(1): (A, "uncertain")})
    assert table.plan([Row(1, "a", old=True)], Policy(remove=False)).ids("remove") == [guid(1)]
