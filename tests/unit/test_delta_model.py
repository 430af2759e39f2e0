"""Any sequence of runs, with any snapshots, policies and outcomes, beside a model of the state in plain Python."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.delta.compare import Policy
from shared.delta.counts import Counts
from tests.support.deltas import Row, State, Table, all_sent, entry, guid

NUMBERS = st.integers(1, 12)
CONTENTS = st.sampled_from("abc")
KINDS = ("rejected", "missing", "referenced")


@dataclass(frozen=True)
class Attempt:
    """A run: its snapshot, its policy, how far it came and what went wrong."""

    rows: tuple[Row, ...]
    policy: Policy
    sent: int
    begun: int
    exceptions: Mapping[int, tuple[str, bool]]
    committed: bool


FAULTS = st.sampled_from([None, None, None, "x: bad", "y: bad"])
rows_drawn = st.builds(
    lambda number, content, fault, old: Row(number, content, fault, old=old),
    NUMBERS,
    CONTENTS,
    FAULTS,
    st.sampled_from([False, False, False, True]),
)
policies = st.builds(Policy, st.booleans(), st.booleans(), st.just(10), st.sampled_from(["", "", "", "held"]))
attempts = st.builds(
    lambda rows, policy, reach, exceptions, committed: Attempt(
        tuple(rows), policy, min(reach), max(reach), exceptions, committed
    ),
    st.lists(rows_drawn, max_size=14),
    policies,
    st.tuples(st.integers(0, 14), st.integers(0, 14)),
    st.dictionaries(NUMBERS, st.tuples(st.sampled_from(KINDS), st.booleans()), max_size=5),
    st.sampled_from([True, True, True, False]),
)


def rank(row: Row) -> tuple[bool, str, bool, str]:
    """Of rows with one key the first one stays."""
    return (row.fault is not None, row.fault or "", row.old, "" if row.fault else entry(row.content))


@dataclass(frozen=True)
class Model:
    """What the rules of the architecture say, row by row."""

    known: State
    refused: frozenset[str] = frozenset()  # by Dataverse, when they were last written or removed

    def wanted(self, attempt: Attempt) -> dict[str, Row]:
        best: dict[str, Row] = {}
        for row in attempt.rows:
            key = guid(row.number or 0)
            if key not in best or rank(row) < rank(best[key]):
                best[key] = row
        return best

    def steps(self, attempt: Attempt) -> dict[str, str]:
        wanted = self.wanted(attempt)
        steps: dict[str, str] = {}
        for key, row in wanted.items():
            old = self.known.get(key)
            missing = old is not None and old[1] == "missing"
            if row.old:
                steps |= {key: "drop" if missing else "remove"} if old else {}
            elif row.fault:
                continue  # what Dataverse holds of it stays
            elif old is None or missing:
                steps[key] = "create"
            elif attempt.policy.full or old[1] == "uncertain" or old[0] != entry(row.content):
                steps[key] = "change"
        for key in self.known.keys() - wanted.keys():
            if self.known[key][1] == "missing":
                steps[key] = "drop"
            elif not attempt.policy.remove:
                steps[key] = "keep"
            else:
                steps[key] = "hold_remove" if attempt.policy.hold else "remove"
        return steps

    def outcomes(self, attempt: Attempt) -> dict[str, tuple[str, bool]]:
        """For every step what is known of it, and whether it may have happened all the same."""
        steps, found = self.steps(attempt), {}
        writes = {key for key, op in steps.items() if op in {"create", "change"}}
        removals = {key for key, op in steps.items() if op == "remove"}
        lost = {key for key in writes if self.known.get(key, ("", ""))[1] == "missing"} - self.refused
        usual, refused = writes - lost - self.refused, writes & self.refused
        for chunk in (usual, lost, refused, removals - self.refused, removals & self.refused):
            for place, key in enumerate(sorted(chunk)):
                kind, late = attempt.exceptions.get(uuid.UUID(key).int, ("written", False))
                found[key] = (
                    ("unsent", False)
                    if place >= attempt.begun
                    else ("uncertain", True)
                    if place >= attempt.sent
                    else (kind, late)
                )
        return found

    def after(self, attempt: Attempt) -> State:
        steps, wanted = self.steps(attempt), self.wanted(attempt)
        state = dict(self.known)
        for key, op in steps.items():
            if op == "keep" and state[key][1] != "uncertain":
                state[key] = (state[key][0], "kept")
            elif op == "drop":
                del state[key]
        for key, (outcome, maybe) in self.outcomes(attempt).items():
            if outcome == "written" and steps[key] != "remove":
                state[key] = (entry(wanted[key].content), "")
            elif outcome == "missing" and steps[key] != "remove":
                state[key] = (entry(wanted[key].content), "missing")
            elif outcome in {"written", "missing"}:
                state.pop(key, None)
            elif maybe:
                before = state.get(key) or (entry(wanted[key].content), "")
                state[key] = (before[0], "uncertain")
        return state

    def refused_after(self, attempt: Attempt) -> frozenset[str]:
        """Rows that were refused, and those whose second chance came to nothing yet."""
        steps, outcomes = self.steps(attempt), self.outcomes(attempt)
        again = {key for key in steps if key in self.refused and steps[key] != "drop"}
        settled = {key for key, (outcome, _) in outcomes.items() if outcome in {"written", "missing"}}
        refused = {key for key, (outcome, _) in outcomes.items() if outcome in {"rejected", "referenced"}}
        return frozenset(refused | (again - settled))

    def unresolved(self, attempt: Attempt) -> State:
        """Nothing is known of the run: whatever it had planned to send may have arrived."""
        steps, wanted = self.steps(attempt), self.wanted(attempt)
        return self.known | {
            key: (self.known[key][0] if key in self.known else entry(wanted[key].content), "uncertain")
            for key, op in steps.items()
            if op in {"create", "change", "remove"}
        }


@settings(max_examples=15, deadline=None)
@given(st.lists(attempts, min_size=1, max_size=4))
def test_state_is_what_the_model_says(tmp_path_factory: pytest.TempPathFactory, runs: list[Attempt]) -> None:
    table, model = Table(tmp_path_factory.mktemp("runs")), Model({})
    for attempt in runs:
        plan = table.plan(attempt.rows, attempt.policy)
        steps, wanted, outcomes = model.steps(attempt), model.wanted(attempt), model.outcomes(attempt)
        assert {str(row[0]): row[1] for row in plan.rows} == steps
        young = [row for row in wanted.values() if not row.old]
        assert plan.delta.rejected == sum(row.fault is not None for row in young)
        assert plan.delta.expired == len(wanted) - len(young)
        assert plan.duplicates == len(attempt.rows) - len(wanted)
        delta = plan.delta
        assert delta.created + delta.changed + delta.unchanged + delta.rejected == len(young)  # no row without a word
        if not attempt.committed:
            model = replace(model, known=model.unresolved(attempt))
            table.pending.append(table.delta)
            assert certain(table.content()) == certain(model.known)
            continue
        begun = {key for key, (outcome, _) in outcomes.items() if outcome != "unsent"}
        exceptions = [(guid(number), *what) for number, what in attempt.exceptions.items() if guid(number) in begun]
        counts = table.conclude([(chunk, attempt.sent, attempt.begun) for chunk, *_ in all_sent(plan)], exceptions)
        assert counts == expected_counts(steps, outcomes)
        model = replace(model, known=model.after(attempt), refused=model.refused_after(attempt))
        assert table.refused_rows() == model.refused
        assert certain(table.content()) == certain(model.known)


def certain(state: State) -> dict[str, tuple[str | None, str]]:
    """The entry of an uncertain row says nothing: it is written or removed again, whatever it is."""
    return {key: (None if mark == "uncertain" else value, mark) for key, (value, mark) in state.items()}


def expected_counts(steps: Mapping[str, str], outcomes: Mapping[str, tuple[str, bool]]) -> Counts:
    def number(op: str, *kinds: str) -> int:
        return sum(steps[key] == op and outcome in kinds for key, (outcome, _) in outcomes.items())

    return Counts(
        created=number("create", "written"),
        changed=number("change", "written"),
        removed=number("remove", "written", "missing"),
        rejected=number("create", "rejected") + number("change", "rejected"),
        missing=number("create", "missing") + number("change", "missing"),
        held=number("remove", "rejected", "referenced"),
        writes=number("create", "written") + number("change", "written") + number("remove", "written"),
        unsent=number("create", "unsent") + number("change", "unsent"),
        uncertain=number("create", "uncertain") + number("change", "uncertain"),
        unremoved=number("remove", "unsent", "uncertain"),
    )
