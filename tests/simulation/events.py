"""What may happen to an environment, and how it is carried out. A history is a list of events: plain, printable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from shared import cancel, confirm, deliver, lifecycle, pause, retention
from shared.errors import HydrationError
from shared.runs.messages import BACKSTAMPS_QUEUE, TABLES_QUEUE, decode_table
from shared.runs.model import Kind, Mode
from shared.services import Services
from shared.settings.model import Removal
from tests.simulation.checks import check_ended
from tests.simulation.days import DAYS, ENVIRONMENT, contact_id, key_id, profile_id
from tests.simulation.organization import CONTACT, KEY, PROFILE, Row
from tests.simulation.parts import Message
from tests.simulation.strands import Fate
from tests.simulation.world import LOCK, MOST_DELIVERIES, World

_POISON = b"not a message of this app"


@dataclass(frozen=True)
class Event:
    """Something that happens: its name, its numbers, and what becomes of the worker that takes part in it."""

    what: str
    a: int = 0
    b: int = 0
    fate: Fate | None = None

    def __repr__(self) -> str:
        numbers = ", ".join(str(one) for one in ((self.a, self.b) if self.b else (self.a,)))
        fate = f", fate={self.fate!r}" if self.fate else ""
        return f"Event({self.what!r}, {numbers}{fate})"


History = tuple[Event, ...]


def happen(world: World, event: Event) -> None:
    """Let an event happen."""
    _ACTS[event.what](world, event)


# -- the lake ------------------------------------------------------------------------------------------------


def _land(world: World, event: Event) -> None:
    world.lake.land(DAYS[event.a % len(DAYS)])


def _land_half(world: World, event: Event) -> None:
    world.lake.land(DAYS[event.a % len(DAYS)], ("Customer", "AlternateKey")[event.b % 2])


def _lose(world: World, event: Event) -> None:
    world.lake.lose(("Customer", "AlternateKey")[event.a % 2])


def _announce(world: World, event: Event) -> None:
    """The event of a manifest that was written."""
    world.run(lambda services: lifecycle.look(services, ENVIRONMENT), event.fate, worker=event.a)


# -- time ----------------------------------------------------------------------------------------------------


def _tick(world: World, event: Event) -> None:
    """A minute passes, and the timers fire."""
    world.now += timedelta(minutes=1)
    timers: tuple[Callable[[Services], None], ...] = (deliver.reconcile, deliver.sweep, retention.tidy)
    for timer in timers:
        world.run(timer, event.fate if event.b % len(timers) == timers.index(timer) else None, worker=event.a)


def _wait(world: World, event: Event) -> None:
    world.now += timedelta(seconds=event.a)


def _clock(world: World, event: Event) -> None:
    """A new process, on a machine whose clock is wrong by so many minutes."""
    world.replace_worker(event.b % 3, timedelta(minutes=event.a))


# -- messages ------------------------------------------------------------------------------------------------


def due(world: World) -> list[int]:
    """The messages that can be delivered now, oldest first: their places."""
    return [place for place, message in enumerate(world.bag) if message.due <= world.now]


def hand_over(world: World, message: Message, fate: Fate | None = None, worker: int = 0) -> None:
    """Deliver a message, and do with it what Service Bus does then."""
    outcome = world.run(_work_of(message), fate, worker=worker, task=_task_of(message))
    check_ended(world)
    if outcome == "done":
        return
    again = message.again(world.now + (LOCK if outcome in {"killed", "held"} else timedelta()))
    (world.dead if again.deliveries >= MOST_DELIVERIES else world.bag).append(again)


def _work_of(message: Message) -> Callable[[Services], None]:
    if message.queue == TABLES_QUEUE:
        return lambda services: deliver.step(services, message.body)
    return lambda services: deliver.chunk(services, message.body, _kind(message))


def _kind(message: Message) -> Kind:
    return Kind.LINK if message.queue == BACKSTAMPS_QUEUE else Kind.TABLE


def _task_of(message: Message) -> str:
    try:
        return decode_table(message.body).task if message.queue == TABLES_QUEUE else ""
    except HydrationError:
        return ""


def _work(world: World, event: Event) -> None:
    """So many messages are worked off, one after the other; who has nothing to do waits for the next one."""
    for _ in range(event.a):
        if places := _soon(world):
            hand_over(world, world.bag.pop(places[0]), worker=event.b)


def _soon(world: World) -> list[int]:
    """The messages that can be delivered now; where there are none, those that come next, within ten minutes."""
    if not (places := due(world)) and world.bag:
        soon = min(message.due for message in world.bag)
        if soon - world.now <= timedelta(minutes=10):
            world.now = soon
            places = due(world)
    return places


def _deliver(world: World, event: Event) -> None:
    if places := _soon(world):
        hand_over(world, world.bag.pop(places[event.a % len(places)]), event.fate, event.b)


def _duplicate(world: World, event: Event) -> None:
    if places := _soon(world):
        hand_over(world, replace(world.bag[places[event.a % len(places)]]), event.fate, event.b)


def _late(world: World, event: Event) -> None:
    """A message of the past comes once more."""
    if world.sent:
        hand_over(world, replace(world.sent[event.a % len(world.sent)], due=world.now), event.fate, event.b)


def _kill_message(world: World, event: Event) -> None:
    if world.bag:
        world.dead.append(world.bag.pop(event.a % len(world.bag)))
        bury(world, event.fate)


def bury(world: World, fate: Fate | None = None) -> None:
    """The dead letters are worked off."""
    for message in (letters := list(world.dead)):
        world.dead.remove(message)
        work = _dead_step(message) if message.queue == TABLES_QUEUE else _dead_chunk(message)
        if world.run(work, fate if message is letters[0] else None) != "done":
            world.dead.append(message)
        check_ended(world)


def _dead_step(message: Message) -> Callable[[Services], None]:
    return lambda services: deliver.dead_step(services, message.body, "delivered too often")


def _dead_chunk(message: Message) -> Callable[[Services], None]:
    return lambda services: deliver.dead_chunk(services, message.body, "delivered too often")


def _poison(world: World, event: Event) -> None:
    queue = (TABLES_QUEUE, "hydration-upserts", BACKSTAMPS_QUEUE)[event.a % 3]
    world.bag.append(Message(queue, _POISON, world.now, deliveries=MOST_DELIVERIES - 2))


def _resume(world: World, event: Event) -> None:
    world.resume(event.a)


# -- people --------------------------------------------------------------------------------------------------

_MODES = (Mode.INCREMENTAL, Mode.FULL, Mode.VERIFY, Mode.PLAN)
_TABLES: tuple[tuple[str, ...], ...] = ((), (), (), ("CustomerProfile",), ("contact",), ("AlternateKey", "contact"))


def _request(world: World, event: Event) -> None:
    mode, asked = _MODES[event.a % len(_MODES)], _TABLES[event.b % len(_TABLES)]
    world.run(lambda services: lifecycle.request_run(services, ENVIRONMENT, mode, asked), event.fate)


def newest(world: World, place: int = 0) -> str:
    """The id of a run, the newest first."""
    ids = sorted((row["id"] for row in world.storage.rows("HydrationRuns") if "phase" in row), reverse=True)
    return ids[place % len(ids)] if ids else "none"


def _confirm(world: World, event: Event) -> None:
    world.run(lambda services: confirm.confirm(services, newest(world, event.a)), event.fate)


def _cancel(world: World, event: Event) -> None:
    world.run(lambda services: cancel.cancel(services, newest(world, event.a)), event.fate)


def _pause(world: World, event: Event) -> None:
    world.run(lambda services: pause.pause(services, ENVIRONMENT, ""), event.fate)


def _go_on(world: World, event: Event) -> None:
    world.run(lambda services: pause.resume(services, ENVIRONMENT), event.fate)


def _policy(world: World, event: Event) -> None:
    keep = event.a % 2 == 1
    world.removal = Removal(rows="keep" if keep else "delete", links="keep" if keep and event.b % 2 else "clear",
                            brake_percent=50)  # fmt: skip
    world.restart()


# -- Dataverse -----------------------------------------------------------------------------------------------


def _reject(world: World, event: Event) -> None:
    """A plug-in refuses a row from now on."""
    row = (profile_id, key_id, contact_id)[event.b % 3](event.a)
    world.organization.rejects.add(row)
    world.organization.named = event.b % 2 == 0


def _accept(world: World, _: Event) -> None:
    world.organization.rejects.clear()


def _throttle(world: World, event: Event) -> None:
    world.throttled_until = world.now + timedelta(seconds=event.a)


def _trouble(world: World, event: Event) -> None:
    """The next calls of a kind get no answer."""
    world.troubles[("table", "blob", "lake", "queue", "dataverse", "dataverse definition")[event.a % 6]] += event.b


def _move(world: World, event: Event) -> None:
    """Another organization is behind the address, and the configuration says so or not.

    Not amid a run: whom it writes to is looked at when it begins.
    """
    if (lock := world.storage.get("HydrationRuns", ENVIRONMENT, "lock")) and lock["run"]:
        return
    world.organization = world.organizations[event.a % 2]
    world.named_organization = world.organization.id if event.b % 2 else None
    world.restart()


def _person(world: World, event: Event) -> None:
    """Somebody changes a link, a contact or a row in Dataverse."""
    organization, contact, profile = world.organization, contact_id(event.a % 7 + 1), profile_id(event.b % 6 + 1)
    contacts, profiles, keys = (organization.rows[table] for table in (CONTACT, PROFILE, KEY))
    match (event.a + event.b) % 5:
        case 0 if contact in contacts and profile in profiles:
            contacts[contact].points_to = profile
        case 1 if contact in contacts:
            contacts[contact].points_to = None
        case 2:
            contacts.pop(contact, None)
        case 3 if contact not in contacts:
            contacts[contact] = Row()
        case 4 if profile in profiles and all(one.points_to != profile for one in contacts.values()):
            del profiles[profile]
            world.touched[PROFILE, profile] = world.now
            for key, row in keys.items():
                if row.points_to == profile:
                    row.points_to = None
                    world.touched[KEY, key] = world.now
        case _:
            return
    world.touched[CONTACT, contact] = world.now


_ACTS: dict[str, Callable[[World, Event], Any]] = {
    "land": _land, "land half": _land_half, "lose a file": _lose, "announce": _announce,
    "tick": _tick, "wait": _wait, "clock": _clock,
    "work": _work, "deliver": _deliver, "duplicate": _duplicate, "late": _late, "dead letter": _kill_message,
    "poison": _poison, "go on": _resume,
    "run": _request, "confirm": _confirm, "cancel": _cancel, "pause": _pause, "resume": _go_on, "policy": _policy,
    "reject": _reject, "accept": _accept, "throttle": _throttle, "trouble": _trouble, "move": _move,
    "person": _person,
}  # fmt: skip
