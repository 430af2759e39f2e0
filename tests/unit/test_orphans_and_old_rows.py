"""Rows whose profile is gone, and rows that are too old: what is written, kept and removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.delta.compare import BRAKE_ROWS, Policy
from shared.delta.counts import Counts
from tests.support.deltas import REMOVE, Row, Table, all_sent, entry, guid

POLICIES = [Policy(), Policy(full=True), Policy(remove=False), Policy(brake_percent=0), Policy(hold="why not")]
of_every_policy = pytest.mark.parametrize("policy", POLICIES, ids=["normal", "full", "keep", "brake", "hold"])
A = entry("a")


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


# -- rows that are too old -----------------------------------------------------------------------------


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


# -- rows whose profile is gone ------------------------------------------------------------------------


@of_every_policy
def test_a_known_row_whose_profile_is_gone_keeps_its_entry_and_becomes_uncertain(table: Table, policy: Policy) -> None:
    table.holds({guid(1): (A, ""), guid(2): (A, "kept")})
    plan = table.plan([Row(1, "a", orphan=True), Row(2, "b", orphan=True)], policy)
    assert (plan.delta.rejected, plan.delta.gone, plan.delta.removed) == (2, 0, 0)
    assert (plan.ids("orphan"), plan.writes, plan.removals) == ([guid(1), guid(2)], [], [])
    assert table.conclude(all_sent(plan)) == Counts()
    assert table.content() == {guid(1): (A, "uncertain"), guid(2): (A, "uncertain")}


@of_every_policy
def test_a_row_whose_profile_is_gone_is_never_written_meanwhile(table: Table, policy: Policy) -> None:
    table.holds({guid(1): (A, "")})
    for content in "abab":
        plan = table.plan([Row(1, content, orphan=True), Row(2, content, orphan=True)], policy)
        assert (plan.writes, plan.removals) == ([], [])
        table.conclude(all_sent(plan))
        assert table.content() == {guid(1): (A, "uncertain")}


def test_a_row_is_written_again_when_its_profile_returns(table: Table) -> None:
    table.holds({guid(1): (A, "")})
    table.conclude(all_sent(table.plan([Row(1, "a", orphan=True)])))
    plan = table.plan([Row(1, "a")])
    assert (plan.ids("change"), plan.delta.unchanged) == ([guid(1)], 0)
    table.conclude(all_sent(plan))
    assert table.content() == {guid(1): (A, "")}
    assert table.plan([Row(1, "a")]).rows == []


def test_a_row_that_nobody_wrote_leaves_nothing_behind_without_its_profile(table: Table) -> None:
    plan = table.plan([Row(1, "a", orphan=True)])
    assert (plan.rows, plan.delta.rejected) == ([], 1)
    assert plan.rejects == [(guid(1), "key 1", "no profile")]
    table.conclude([])
    assert table.content() == {}
    assert table.plan([Row(1, "a")]).ids("create") == [guid(1)]


def test_a_row_whose_profile_is_gone_is_removed_when_it_leaves_the_snapshot(table: Table) -> None:
    table.holds({guid(1): (A, "")})
    table.conclude(all_sent(table.plan([Row(1, "a", orphan=True)])))
    plan = table.plan([])
    assert plan.ids("remove") == [guid(1)]
    table.conclude(all_sent(plan))
    assert table.content() == {}


def test_an_orphan_of_a_plan_that_was_never_committed_is_uncertain(table: Table) -> None:
    table.holds({guid(1): (A, "")})
    table.plan([Row(1, "a", orphan=True)])
    table.pending.append(table.delta)
    assert table.content() == {guid(1): (A, "uncertain")}


def test_an_old_row_without_a_profile_is_removed(table: Table) -> None:
    table.holds({guid(1): (A, "")})
    plan = table.plan([Row(1, "a", orphan=True, old=True)])
    assert (plan.ids("remove"), plan.ids("orphan"), plan.delta.rejected) == ([guid(1)], [], 0)


def test_of_rows_with_one_key_one_that_has_a_profile_stays(table: Table) -> None:
    table.holds({guid(1): (A, "")})
    rows = [Row(1, "a", orphan=True), Row(1, "a")]
    for order in (rows, rows[::-1]):
        plan = table.plan(order)
        assert (plan.rows, plan.duplicates, plan.delta.unchanged) == ([], 1, 1)


def test_orphans_are_no_part_of_a_chunk(table: Table) -> None:
    table.holds({guid(number): (A, "") for number in range(1, 5)})
    plan = table.plan([Row(1, "b"), Row(2, "a", orphan=True), Row(3, "b")])
    assert [(str(row[0]), row[1], row[2], row[3]) for row in plan.rows if row[1] != "orphan"] == [
        (guid(1), "change", 1, 0),
        (guid(3), "change", 1, 1),
        (guid(4), "remove", 2, 0),
    ]
    counts = table.conclude([(1, 2, 2)])  # the removal was never sent
    assert counts == Counts(changed=2, writes=2)
    b = entry("b")
    assert table.content() == {guid(1): (b, ""), guid(2): (A, "uncertain"), guid(3): (b, ""), guid(4): (A, "")}
