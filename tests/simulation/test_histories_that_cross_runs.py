"""What one run leaves, the next one takes up: histories that cross runs, checked whenever a run has ended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.runs.messages import UPSERTS_QUEUE
from shared.runs.model import Mode, Phase, Run, Status, Task
from tests.simulation.checks import check_ended, check_rows, runs, tasks
from tests.simulation.days import DAYS, THERE, contact_id, profile_id
from tests.simulation.events import Event, hand_over, happen
from tests.simulation.organization import CONTACT, PROFILE
from tests.simulation.strands import Fate
from tests.simulation.surroundings import surroundings
from tests.simulation.world import World

CHANGED_3, WITHOUT_5 = 1, 2  # the base with another name of customer 3; without customer 5 and its contact
PROFILES, CONTACTS = 0, 2  # what `reject` refuses


@pytest.fixture(scope="module", autouse=True)
def _in_memory() -> Iterator[None]:
    with surroundings():
        yield


@pytest.fixture
def world() -> Iterator[World]:
    found = World()
    yield found
    found.close()


def tell(world: World, *events: Event) -> None:
    for event in events:
        happen(world, event)
        check_ended(world)


def land(world: World, day: int) -> None:
    """A day lands and settles; its run has begun."""
    tell(world, Event("land", day), Event("announce"), Event("wait", 61), Event("tick"))


def finish(world: World) -> Run:
    """The newest run, when it has ended."""
    for _ in range(60):
        newest = runs(world)[-1]
        if newest.phase is Phase.ENDED:
            return newest
        tell(world, Event("work", 20), Event("tick"))
    raise AssertionError(f"it does not end: {runs(world)[-1]}")


def run(world: World, day: int) -> Run:
    land(world, day)
    return finish(world)


def task(world: World, found: Run, subject: str) -> Task:
    (one,) = (one for one in tasks(world, found) if one.subject == subject)
    return one


def name(world: World, customer: int) -> object:
    return world.organization.rows[PROFILE][profile_id(customer)].cells["msdynci_fullname"]


def assert_well(world: World, day: int) -> None:
    """The day lands once more: all is right, and the time after nothing is written."""
    assert run(world, day).status is Status.SUCCESSFUL
    check_rows(world, world.organization, DAYS[day], "in the end")
    before = world.writes
    assert run(world, day).status is Status.SUCCESSFUL
    assert world.writes == before


def test_a_row_is_written_then_rejected_then_gone(world: World) -> None:
    run(world, 0)
    tell(world, Event("reject", 5, PROFILES))
    found = run(world, WITHOUT_5)
    assert task(world, found, "CustomerProfile").counts.held == 1, "its removal is refused, and it stays known"
    tell(world, Event("accept"), Event("reject", 3, PROFILES))
    found = run(world, CHANGED_3)
    assert task(world, found, "CustomerProfile").counts.rejected == 1
    assert str(name(world, 3)).endswith("v1"), "as it was before"
    tell(world, Event("accept"))
    found = run(world, WITHOUT_5)
    assert task(world, found, "CustomerProfile").counts.removed == 1
    assert profile_id(5) not in world.organization.rows[PROFILE]
    assert_well(world, WITHOUT_5)


@pytest.mark.parametrize("fate", ["lose", "kill after", "hold"])
def test_a_chunk_is_given_up_with_an_unknown_outcome_and_the_value_changes_back(world: World, fate: str) -> None:
    run(world, 0)
    land(world, CHANGED_3)
    while not (chunks := [message for message in world.bag if message.queue == UPSERTS_QUEUE]):
        tell(world, Event("deliver"))
    for call in range(1, 30):
        if str(name(world, 3)).endswith("v2"):
            break
        hand_over(world, chunks[0], Fate(fate, call))
        tell(world, Event("wait", 310))
    assert str(name(world, 3)).endswith("v2")
    for _ in range(len(world.bag)):
        tell(world, Event("dead letter"))
    tell(world, Event("wait", 700))
    finish(world)
    assert run(world, 0).status in {Status.SUCCESSFUL, Status.COMPLETED_WITH_REJECTS}
    assert str(name(world, 3)).endswith("v1"), "it was written back, though the state never said that it had changed"
    tell(world, Event("go on"))
    assert_well(world, 0)


def test_a_removal_is_refused_until_what_refers_to_the_row_is_gone(world: World) -> None:
    run(world, 0)
    world.organization.rows[CONTACT][contact_id(2)].points_to = profile_id(5)  # by somebody else
    world.touched[CONTACT, contact_id(2)] = world.now
    found = run(world, WITHOUT_5)
    assert found.status is Status.COMPLETED_WITH_REJECTS
    assert task(world, found, "CustomerProfile").counts.held == 1
    assert profile_id(5) in world.organization.rows[PROFILE]
    tell(world, Event("run", list(Mode).index(Mode.VERIFY)))
    tell(world, Event("wait", 61), Event("tick"))
    finish(world)
    assert profile_id(5) not in world.organization.rows[PROFILE], "verify has put the link right, and the profile goes"
    assert_well(world, WITHOUT_5)


@pytest.mark.parametrize("messages", range(0, 18, 2))
def test_a_run_is_canceled_half_way_and_the_next_does_the_rest(world: World, messages: int) -> None:
    run(world, 0)
    land(world, WITHOUT_5)
    tell(world, Event("work", messages), Event("cancel"))
    canceled = finish(world)
    assert canceled.status in {Status.CANCELED, Status.SUCCESSFUL}
    for one in tasks(world, canceled):
        assert (one.status is Status.CANCELED) == (one.counts.unfinished or canceled.stage == 0), one
    assert_well(world, WITHOUT_5)


def test_a_run_is_canceled_amid_a_call_of_a_worker_that_is_held_up(world: World) -> None:
    land(world, 0)
    for call in range(1, 60):
        tell(world, Event("deliver", 0, 0, Fate("hold", call)))
        if world.held and runs(world)[-1].phase is Phase.SENDING:
            break
        tell(world, Event("go on"))
    assert world.held
    tell(world, Event("cancel"), Event("work", 20))
    before = world.writes
    tell(world, Event("go on"), Event("work", 20))
    assert world.writes <= before + 3, "no more than the call that it was in"
    assert finish(world).status is Status.CANCELED
    assert_well(world, 0)


def test_the_removal_policy_changes(world: World) -> None:
    run(world, 0)
    tell(world, Event("policy", 1, 1))
    found = run(world, WITHOUT_5)
    assert found.status is Status.SUCCESSFUL
    assert profile_id(5) in world.organization.rows[PROFILE], "kept, as configured"
    assert world.organization.rows[CONTACT][contact_id(5)].points_to == profile_id(5)
    tell(world, Event("policy", 0, 0))
    run(world, WITHOUT_5)
    assert profile_id(5) not in world.organization.rows[PROFILE]
    assert world.organization.rows[CONTACT][contact_id(5)].points_to is None
    assert_well(world, WITHOUT_5)


def test_another_organization_stands_behind_the_environment(world: World) -> None:
    run(world, 0)
    former = world.organization
    tell(world, Event("move", 1, 0))
    found = run(world, CHANGED_3)
    assert found.status is Status.FAILED
    assert "is another organization" in found.detail
    assert not world.organization.rows[PROFILE], "nothing is written before somebody has said that it is meant"
    tell(world, Event("move", 1, 1))
    assert run(world, CHANGED_3).status is Status.SUCCESSFUL
    check_rows(world, world.organization, DAYS[CHANGED_3], "after the move")
    check_rows(world, former, DAYS[0], "in the former organization")
    tell(world, Event("move", 0, 1))
    assert_well(world, WITHOUT_5)
    assert len(world.organization.rows[CONTACT]) == len(THERE), "source rows are nobody's to delete"
