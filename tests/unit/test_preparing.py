"""Between planning and sending: the lake is looked at again. What is made in Dataverse is stood in for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared import prepare
from shared.errors import ConfigurationError, ConflictError, ThrottledError, TransientError
from shared.runs.messages import Step, TableMessage
from shared.runs.model import Mode, Phase, Run, TaskPhase
from shared.services import Services
from tests.support.memory import ENVIRONMENT, PROFILES, RUN, Memory

MESSAGE = TableMessage(Step.PREPARE, ENVIRONMENT, RUN)


class Preparer:
    """`prepare`, with what stands in for making tables and columns."""

    def __init__(self, memory: Memory, patch: pytest.MonkeyPatch) -> None:
        self.memory, self.made = memory, 0
        self.meanwhile: Callable[[], object] = lambda: None
        patch.setattr(prepare, "_prepare_tasks", self._prepare_tasks)

    def _prepare_tasks(self, _services: Services, run: Run) -> Run:
        self.made += 1
        self.meanwhile()
        return run

    def prepare(self) -> Phase:
        """In which phase the run is then."""
        prepare.prepare(self.memory.services, MESSAGE)
        return self.memory.store.run(ENVIRONMENT, RUN).phase


@pytest.fixture
def preparer(monkeypatch: pytest.MonkeyPatch) -> Preparer:
    return Preparer(Memory(monkeypatch), monkeypatch)


def test_a_run_whose_lake_is_as_it_was_planned_is_sent(preparer: Preparer) -> None:
    preparer.memory.run(Phase.PREPARING)
    preparer.memory.chunk(preparer.memory.task(PROFILES, TaskPhase.PLANNED, attempt="attempt", chunks=1))
    assert preparer.prepare() is Phase.SENDING
    assert preparer.made == 1
    assert preparer.memory.store.lock(ENVIRONMENT).last == RUN, "what runs before it held is judged anew"
    assert len(preparer.memory.queues.chunks) == 1


def test_a_run_whose_lake_changed_is_not_sent(preparer: Preparer) -> None:
    preparer.memory.run(Phase.PREPARING)
    preparer.memory.fingerprint = "another one"
    assert preparer.prepare() is Phase.WAITING
    assert preparer.made == 0
    assert preparer.memory.store.lock(ENVIRONMENT).last == ""


def test_what_confirms_another_run_needs_no_look_at_the_lake(preparer: Preparer) -> None:
    preparer.memory.run(Phase.PREPARING, mode=Mode.CONFIRM)
    preparer.memory.fingerprint = "another one"
    preparer.memory.chunk(preparer.memory.task(PROFILES, TaskPhase.PLANNED, attempt="attempt", chunks=1))
    assert preparer.prepare() is Phase.SENDING
    assert preparer.made == 0


def test_of_two_workers_that_prepare_a_run_one_lets_it_be_sent(preparer: Preparer) -> None:
    preparer.memory.run(Phase.PREPARING)
    preparer.memory.chunk(preparer.memory.task(PROFILES, TaskPhase.PLANNED, attempt="attempt", chunks=1))

    def other() -> None:
        with pytest.raises(ThrottledError, match="Another worker prepares the run"):
            preparer.prepare()

    preparer.meanwhile = other
    assert preparer.prepare() is Phase.SENDING
    assert preparer.made == 1
    assert len(preparer.memory.queues.chunks) == 1


def test_who_prepares_a_run_for_longer_than_its_claim_lasts_does_not_let_it_be_sent(preparer: Preparer) -> None:
    preparer.memory.run(Phase.PREPARING)
    preparer.memory.chunk(preparer.memory.task(PROFILES, TaskPhase.PLANNED, attempt="attempt", chunks=1))

    def other() -> None:
        preparer.meanwhile = lambda: None
        preparer.memory.clock.turn(preparer.memory.services.settings.lease_seconds + 1)
        assert preparer.prepare() is Phase.SENDING

    preparer.meanwhile = other
    with pytest.raises(ConflictError):
        preparer.prepare()
    assert len(preparer.memory.queues.chunks) == 1


def test_a_run_is_given_back_when_preparing_it_fails_for_the_moment(preparer: Preparer) -> None:
    preparer.memory.run(Phase.PREPARING)
    preparer.memory.chunk(preparer.memory.task(PROFILES, TaskPhase.PLANNED, attempt="attempt", chunks=1))

    def fail() -> None:
        preparer.meanwhile = lambda: None
        raise TransientError("not now")

    preparer.meanwhile = fail
    with pytest.raises(TransientError, match="not now"):
        preparer.prepare()
    assert preparer.prepare() is Phase.SENDING, "at once: nobody waits for the claim to lapse"


@pytest.mark.parametrize("phase", [Phase.PLANNING, Phase.SENDING, Phase.ENDED])
def test_a_run_is_prepared_when_it_is_its_turn(preparer: Preparer, phase: Phase) -> None:
    preparer.memory.run(phase)
    assert preparer.prepare() is phase
    assert preparer.made == 0


def test_a_message_of_an_earlier_round_prepares_nothing(preparer: Preparer) -> None:
    preparer.memory.run(Phase.PREPARING, attempt=2)
    assert preparer.prepare() is Phase.PREPARING
    assert preparer.made == 0


def test_a_run_that_was_planned_for_another_organization_is_not_sent(preparer: Preparer) -> None:
    preparer.memory.run(Phase.PREPARING, organization_id="planned for")
    preparer.memory.organization = "another one"
    with pytest.raises(ConfigurationError):
        preparer.prepare()
    assert preparer.made == 0
    assert preparer.memory.store.lock(ENVIRONMENT).last == ""
