"""Histories: drawn from a seed, lived through, brought to rest, and made short when a promise was broken."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import timedelta

from shared import deliver, lifecycle, pause
from shared.runs.model import Mode, Phase, Run, Status
from shared.settings.model import Removal
from tests.simulation.checks import check_ended, check_marker, check_rows, picture, runs, tasks
from tests.simulation.days import BASE, DAYS, ENVIRONMENT
from tests.simulation.events import Event, History, bury, due, hand_over, happen
from tests.simulation.strands import BrokenPromise, Fate
from tests.simulation.world import World

_FATES = (
    "kill",
    "kill after",
    "kill after",
    "hold",
    "hold after",
    "hold after",
    "lose",
    "lose",
    "lose twice",
    "refuse",
)
_LONGEST = timedelta(hours=30)
_LATE = 12


# -- drawing -------------------------------------------------------------------------------------------------


def draw(seed: int) -> History:
    """A history of an environment: a landing or two, and whatever may happen meanwhile."""
    luck = random.Random(seed)  # noqa: S311
    events: list[Event] = []
    for landing in range(luck.choice((1, 1, 2, 2))):
        events += _landing(luck, first=not landing)
        for _ in range(luck.randint(6, 18)):
            events += _something(luck)
        if luck.random() < 0.3:
            events.append(Event("work", 40, luck.randrange(3)))
    return tuple(events)


def _landing(luck: random.Random, *, first: bool = False) -> list[Event]:
    events = [Event("land", 0 if first or luck.random() < 0.3 else luck.randrange(len(DAYS)))]
    if luck.random() < 0.9:
        events.append(Event("announce", luck.randrange(3), fate=_fate(luck, 0.1)))
    events.append(Event("wait", luck.choice((10, 61, 61, 61, 200))))
    events.append(Event("tick", luck.randrange(3)))
    events.append(Event("work", luck.choice((0, 0, 1, 2, 4, 6, 9, 12, 16)), luck.randrange(3)))
    return events


def _fate(luck: random.Random, chance: float) -> Fate | None:
    if luck.random() >= chance:
        return None
    what, kind = luck.choice(_FATES), luck.choice(("", "dataverse", "dataverse", "table", "table", "queue", "blob"))
    at = luck.randint(1, luck.choice((4, 12, 30)) if not kind else 10 if kind == "table" else 3)
    return Fate(what, at, luck.randint(1, 3) if what == "refuse" else 1, kind)


def _given_up(luck: random.Random) -> list[Event]:
    """A worker comes to its end amid a message, and the message is dead, its run canceled, or the run is waited for."""
    fate = Fate(luck.choice(("kill after", "kill", "hold", "hold after")), luck.randint(1, 3), kind="dataverse")
    after = (Event("dead letter", -1), Event("cancel"), Event("wait", 310), Event("duplicate", -1))
    return [Event("deliver", luck.randrange(3), luck.randrange(3), fate), luck.choice(after)]


def _something(luck: random.Random) -> list[Event]:
    return _KINDS[luck.choices(range(len(_KINDS)), _WEIGHTS)[0]](luck)


def _with_fate(what: str, chance: float, many: int = 40, workers: int = 3) -> Callable[[random.Random], list[Event]]:
    return lambda luck: [Event(what, luck.randrange(many), luck.randrange(workers), _fate(luck, chance))]


def _plain(what: str, *numbers: int, b: int = 1) -> Callable[[random.Random], list[Event]]:
    return lambda luck: [Event(what, luck.choice(numbers or (0,)), luck.randrange(b))]


_DRAWN: tuple[tuple[int, Callable[[random.Random], list[Event]]], ...] = (
    (70, _with_fate("deliver", 0.65, many=3)),
    (12, _given_up),
    (14, _plain("work", 1, 2, 3, 5, 8, b=3)),
    (6, _with_fate("tick", 0.3, many=3)),
    (5, _plain("wait", 1, 30, 130, 310, 700)),
    (1, _plain("wait", 31 * 86_400)),  # what is left of ended runs is cleaned away
    (5, _plain("go on", *range(4))),
    (4, _with_fate("duplicate", 0.3)),
    (3, _with_fate("late", 0.2, many=80)),
    (3, _with_fate("dead letter", 0.2)),
    (1, _plain("poison", 0, 1, 2)),
    (3, lambda luck: _landing(luck)[: luck.choice((1, 1, 3))]),
    (2, _plain("land half", *range(len(DAYS)), b=2)),
    (1, _plain("lose a file", 0, 1)),
    (3, _with_fate("run", 0.15, many=4, workers=6)),
    (2, _with_fate("confirm", 0.2, many=2)),
    (3, _with_fate("cancel", 0.2, many=2)),
    (1, _with_fate("pause", 0.1)),
    (2, _with_fate("resume", 0.2)),
    (1, _plain("policy", 0, 1, b=2)),
    (2, _plain("reject", *range(1, 7), b=3)),
    (1, _plain("accept")),
    (2, _plain("throttle", 5, 40, 400)),
    (4, lambda luck: [Event("trouble", luck.randrange(6), luck.choice((1, 2, 3, 8)))]),
    (1, _plain("move", 0, 1, b=2)),
    (2, _plain("person", *range(14), b=6)),
    (2, lambda luck: [Event("clock", luck.choice((-10, -3, 3, 10)), luck.randrange(3))]),
)
_WEIGHTS = [weight for weight, _ in _DRAWN]
_KINDS = [kind for _, kind in _DRAWN]


# -- living through it ---------------------------------------------------------------------------------------


def live(history: Sequence[Event]) -> object:
    """How it ended. Raises BrokenPromise, or whatever the app raised that nobody foresaw."""
    world = World()
    try:
        for event in history:
            happen(world, event)
            check_ended(world)
        _rest(world, late=len(history) % 2 == 0)
        _end_well(world, twice=len(history) % 3 == 0)
        check_marker(world)
        return picture(world)
    finally:
        world.close()


def _rest(world: World, *, late: bool) -> None:
    """No fault happens any more. What was held up goes on; `late`: when all is over."""
    world.troubles.clear()
    world.throttled_until = None
    world.organization.rejects.clear()
    world.removal, world.named_organization = Removal(brake_percent=50), world.organization.id
    world.restart()
    if late:
        _go_on(world)
    while world.held:
        world.resume()
        check_ended(world)
    world.restart()
    _go_on(world)


def _go_on(world: World) -> None:
    """Nothing is paused, and all that is open ends. (A request to pause that was held up may have come just now.)"""
    world.run(lambda services: pause.resume(services, ENVIRONMENT), None)
    _bring_to_an_end(world)


def _bring_to_an_end(world: World) -> None:
    """Timers and messages, until every run has ended."""
    until = world.now + _LONGEST
    while True:
        happen(world, Event("tick"))
        while places := due(world):
            hand_over(world, world.bag.pop(places[0]))
        bury(world)
        check_ended(world)
        if all(run.phase is Phase.ENDED for run in runs(world)):
            return
        if world.now > until:
            left = [(run.id, run.phase.value, run.detail) for run in runs(world) if run.phase is not Phase.ENDED]
            raise BrokenPromise(f"Some runs never end: {left}")
        soon = min((message.due for message in world.bag), default=world.now)
        world.now = max(world.now, min(soon, world.now + timedelta(minutes=10)))


def _end_well(world: World, *, twice: bool) -> None:
    """A run of a day without faults is Successful, and what follows writes nothing.

    What a person has changed in the organization only a full run mends.
    """
    mode = Mode.FULL if world.touched else Mode.INCREMENTAL
    run = _landed(world, mode)
    if any(task.confirmable for task in tasks(world, run)):
        happen(world, Event("confirm"))
        _bring_to_an_end(world)
        run = _landed(world, mode)
    if run.status is not Status.SUCCESSFUL:
        raise BrokenPromise(f"The last {mode} run ended {run.status}: {run.detail}")
    if world.touched:
        raise BrokenPromise(f"A full run does not look at {world.touched}.")
    check_rows(world, world.organization, BASE, "in the end")
    if twice:
        before = world.writes
        again = _landed(world, Mode.INCREMENTAL)
        if again.status is not Status.SUCCESSFUL or world.writes > before:
            raise BrokenPromise(f"{world.writes - before} rows are written again by {again.id}: {again.status}")
    _repeat(world)


def _landed(world: World, mode: Mode) -> Run:
    """The run that a new landing of the base leads to."""
    before = {run.id for run in runs(world)}
    world.lake.land(BASE)
    if mode is not Mode.INCREMENTAL:
        world.run(lambda services: lifecycle.request_run(services, ENVIRONMENT, mode, ()), None)
    world.run(lambda services: lifecycle.look(services, ENVIRONMENT), None)
    world.now += timedelta(seconds=61)
    world.run(deliver.sweep, None)
    _bring_to_an_end(world)
    new = [run for run in runs(world) if run.id not in before]
    if [run.mode for run in new] != [mode]:
        raise BrokenPromise(f"A landing opened {[(run.id, run.mode) for run in new]}.")
    return new[0]


def _repeat(world: World) -> None:
    """Messages of the past come once more: nothing changes."""
    before = picture(world)
    for message in world.sent[:: max(1, len(world.sent) // _LATE)]:
        hand_over(world, message)
    if picture(world) != before:
        raise BrokenPromise("A message that came again changed something.")


# -- making it short -----------------------------------------------------------------------------------------


def shorten(history: History, fails: Callable[[History], bool]) -> History:
    """A shorter history that fails too: without groups of events, then with simpler ones."""
    size = max(1, len(history) // 2)
    while size:
        place = 0
        while place < len(history):
            fewer = history[:place] + history[place + size :]
            if fails(fewer):
                history = fewer
            else:
                place += size
        size //= 2
    for place, event in enumerate(history):
        for simpler in (Event(event.what, event.a, event.b), Event(event.what, 0, event.b, event.fate),
                        Event(event.what, event.a, 0, event.fate)):  # fmt: skip
            tried = (*history[:place], simpler, *history[place + 1 :])
            if simpler != event and fails(tried):
                history = tried
    return history
