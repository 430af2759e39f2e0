"""Time is the storage service's, however wrong the machine's clock is and whenever somebody sets it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shared import clock as clocks
from shared.clock import TOLERANCE, Clock, ServerTime

TRUE = datetime(2026, 11, 22, 10, 30, 0, 400_000, UTC)
SECOND, MINUTES = timedelta(seconds=1), timedelta(minutes=10)


class Machine:
    """A clock that is `off` by so much, and goes on when a test lets it."""

    def __init__(self, off: timedelta = timedelta()) -> None:
        self.passed, self.off = timedelta(), off

    def __call__(self) -> datetime:
        return TRUE + self.passed + self.off

    def true(self) -> datetime:
        return TRUE + self.passed

    def ticks(self) -> float:
        """The time since it was switched on, which nobody sets."""
        return self.passed.total_seconds()


def ask(clock: Clock, machine: Machine, took: timedelta = timedelta(), to_there: float = 0.5) -> None:
    """One answer of the storage, through the client's hooks; it names its time in whole seconds."""
    hooks, request = ServerTime(clock), SimpleNamespace(context={})
    hooks.asked(cast("Any", request))
    machine.passed += took * to_there
    headers = {"Date": format_datetime(machine.true().replace(microsecond=0), usegmt=True)}
    machine.passed += took * (1 - to_there)
    answer = SimpleNamespace(http_response=SimpleNamespace(headers=headers), context=request.context)
    hooks.answered(cast("Any", answer))


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], tuple[Clock, Machine]]:
    def at(off: timedelta) -> tuple[Clock, Machine]:
        machine = Machine(off)
        monkeypatch.setattr(clocks, "time", SimpleNamespace(monotonic=machine.ticks))
        return Clock(machine), machine

    return at


Worker = Callable[[timedelta], tuple[Clock, Machine]]


@pytest.mark.parametrize("off", [MINUTES, -MINUTES, timedelta(hours=-9), timedelta(days=365)])
def test_one_answer_corrects_a_clock_that_is_wrong(worker: Worker, off: timedelta) -> None:
    clock, machine = worker(off)
    ask(clock, machine)
    assert abs(clock.now() - machine.true()) <= SECOND


@pytest.mark.parametrize("off", [timedelta(), SECOND, -SECOND])
def test_what_the_resolution_of_an_answer_explains_corrects_nothing(worker: Worker, off: timedelta) -> None:
    clock, machine = worker(off)
    ask(clock, machine)
    assert clock.now() == machine()


@pytest.mark.parametrize("turned", [MINUTES, -MINUTES])
def test_a_clock_that_is_set_while_the_process_runs_is_right_after_the_next_answer(
    worker: Worker, turned: timedelta
) -> None:
    clock, machine = worker(MINUTES)
    ask(clock, machine)
    machine.off += turned
    ask(clock, machine)
    assert abs(clock.now() - machine.true()) <= SECOND


def test_a_clock_that_is_put_right_is_no_longer_corrected(worker: Worker) -> None:
    clock, machine = worker(MINUTES)
    ask(clock, machine)
    machine.off = timedelta()
    ask(clock, machine)
    assert clock.now() == machine.true()


@pytest.mark.parametrize("to_there", [0.0, 0.5, 1.0])
def test_an_answer_that_took_long_makes_no_right_clock_wrong(worker: Worker, to_there: float) -> None:
    clock, machine = worker(timedelta())
    ask(clock, machine, timedelta(seconds=90), to_there)
    assert clock.now() == machine.true()


@pytest.mark.parametrize("off", [MINUTES, -MINUTES])
@pytest.mark.parametrize("to_there", [0.0, 0.5, 1.0])
def test_a_storage_that_is_always_slow_corrects_a_wrong_clock_all_the_same(
    worker: Worker, off: timedelta, to_there: float
) -> None:
    clock, machine = worker(off)
    took = timedelta(seconds=20)
    ask(clock, machine, took, to_there)
    assert abs(clock.now() - machine.true()) <= took / 2 + SECOND
    ask(clock, machine)
    assert abs(clock.now() - machine.true()) <= TOLERANCE + SECOND


def test_a_clock_that_is_set_amid_an_answer_does_not_hide_that_it_took_long(worker: Worker) -> None:
    clock, machine = worker(timedelta())
    hooks, request = ServerTime(clock), SimpleNamespace(context={})
    hooks.asked(cast("Any", request))
    date = format_datetime(machine.true(), usegmt=True)
    machine.passed += timedelta(seconds=60)
    machine.off = timedelta(seconds=-60)  # by the machine's clock no time has passed
    answer = SimpleNamespace(http_response=SimpleNamespace(headers={"Date": date}), context=request.context)
    hooks.answered(cast("Any", answer))
    machine.off = timedelta()
    assert clock.now() == machine.true(), "it tells the time of a minute ago"


def test_an_answer_without_a_date_corrects_nothing(worker: Worker) -> None:
    clock, machine = worker(MINUTES)
    hooks, request = ServerTime(clock), SimpleNamespace(context={})
    hooks.asked(cast("Any", request))
    answer = SimpleNamespace(http_response=SimpleNamespace(headers={}), context=request.context)
    hooks.answered(cast("Any", answer))
    assert clock.now() == machine()
