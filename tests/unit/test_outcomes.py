"""What a run is called and what it says, of all that its tasks came to."""

from __future__ import annotations

from typing import Any

import pytest

from shared.delta.counts import Counts
from shared.runs.model import UNKNOWN, Kind, Mode, Phase, Run, Status, Task
from shared.runs.outcome import outcome, stopped

S, R, F, C, K = Status.SUCCESSFUL, Status.COMPLETED_WITH_REJECTS, Status.FAILED, Status.CANCELED, Status.SKIPPED


def task(name: str, status: Status, detail: str = "", kind: Kind = Kind.TABLE, **counts: int) -> Task:
    return Task("run", name, name, kind, name, status=status, detail=detail, counts=Counts(**counts))


def test_a_successful_run_says_how_many_rows_it_wrote() -> None:
    assert outcome([task("A", S, writes=1_200), task("B", S, writes=34)]) == (S, "1,234 rows written to Dataverse.")
    assert outcome([task("A", S, writes=1)]) == (S, "1 row written to Dataverse.")


def test_a_run_that_had_nothing_to_do_says_so() -> None:
    assert outcome([task("A", S)]) == (S, "Nothing had changed.")


def test_a_run_with_refused_rows_says_of_each_table_how_many() -> None:
    found = outcome([task("A", R, rejected=1_000), task("B", R, held=2, rejected=3), task("D", S, writes=9)])
    assert found == (R, "A: 1,000 rejected. B: 3 rejected, 2 held.")


def test_a_run_of_which_something_failed_says_what_and_its_first_sentence() -> None:
    found = outcome([task("A", F, "It broke.\nNobody knows.\nAt all."), task("B", R, rejected=1), task("D", F, "Too.")])
    assert found == (F, "A: It broke. D: Too.")


def test_a_canceled_task_names_the_run_unless_another_failed() -> None:
    assert outcome([task("A", C, "Stopped."), task("B", S, writes=1)]) == (C, "A: Stopped.")
    assert outcome([task("A", C, "Stopped."), task("B", F, "It broke.")]) == (F, "B: It broke.")


def test_a_run_of_which_nothing_was_done_is_skipped_and_says_why() -> None:
    assert outcome([task("A", K, "No keys.\nMore."), task("B", K, "Off.")]) == (K, "A: No keys. B: Off.")


def test_one_table_that_was_done_is_enough() -> None:
    assert outcome([task("A", K, "No keys."), task("B", S, writes=2)]) == (S, "2 rows written to Dataverse.")


def test_tables_that_were_asked_for_and_are_not_there_are_named() -> None:
    tasks = [task("A", S, writes=2), task(f"{UNKNOWN}x", K), task(f"{UNKNOWN}y", K)]
    said = f"2 rows written to Dataverse. Not in this snapshot: {UNKNOWN}x, {UNKNOWN}y."
    assert outcome(tasks) == (S, said)
    assert "Not in this snapshot" not in outcome([task("A", F, "It broke."), *tasks])[1]


def test_a_plan_says_what_a_run_would_write_beside_what_it_would_refuse() -> None:
    tasks = [
        task("A", S, created=1_000, changed=20, removed=3, writes=7),
        task("B", R, created=1, rejected=4, removed=1),
    ]
    said = "Nothing was written: this was a plan. A run now would write 1,021 rows and remove 4."
    assert outcome(tasks, Mode.PLAN) == (R, f"{said} B: 4 rejected.")


@pytest.mark.parametrize(
    ("logic", "said"),
    [
        ({}, ""),
        ({"a": False}, " Links fired no flows; plug-ins and workflows were bypassed."),
        (
            {"c": True, "b": False, "a": True},
            " Links fired no flows; plug-ins and workflows of a, c ran (no prvBypassCustomBusinessLogic).",
        ),
    ],
)
def test_a_run_says_whether_others_logic_ran(logic: dict[str, bool], said: str) -> None:
    links: list[Any] = [
        Task("run", name, name, Kind.LINK, name, status=S, custom_logic=ran, counts=Counts(writes=1))
        for name, ran in logic.items()
    ]
    rows = f"{1 + len(links)} rows" if links else "1 row"
    assert outcome([task("A", S, writes=1), *links]) == (S, f"{rows} written to Dataverse.{said}")


def run(phase: Phase) -> Run:
    return Run("run", "environment", phase=phase, stopped="Canceled: enough.", ends_as=C)


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.PLANNING, Phase.PREPARING])
def test_a_run_that_was_stopped_before_it_wrote_says_why(phase: Phase) -> None:
    assert stopped(run(phase), [task("A", S, writes=1)]) == (C, "Canceled: enough.")


def test_a_run_that_was_stopped_amid_its_sending_says_how_far_it_came() -> None:
    tasks = [task("A", S, writes=1), task("B", C, "Not all was sent.")]
    assert stopped(run(Phase.SENDING), tasks) == (C, "Canceled: enough. B: Not all was sent.")


def test_a_run_that_was_stopped_too_late_is_what_it_would_have_been() -> None:
    said = "2 rows written to Dataverse. All had been sent when it was canceled."
    assert stopped(run(Phase.SENDING), [task("A", S, writes=2)]) == (S, said)
