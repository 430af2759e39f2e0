"""Every message five times, in any order, late, and among bodies that nobody of the app wrote: nothing changes.

While a day is worked at, each message comes five times in a drawn order, by two workers in turn, with messages of
earlier runs and poison among them. When the day is over all of its messages come again.
"""

from __future__ import annotations

import itertools
import logging
import random
from typing import Self

from shared import deliver
from shared.services import Services
from tests.support.campaigns import SEED, Tally, campaign, size
from tests.support.poison import Poison, poisons
from tests.support.secrecy import assert_kept, kept_secret, rows
from tests.support.workers import Bag, Letter, Workplace, Workshop

DELIVERIES = size(500, 10_000)
STRANGE = 0.25
"""How often a message of an earlier run, or poison, is delivered beside one of the run."""
COPIES, LATE_COPIES = 5, size(2, 10)


def test_messages_five_times_shuffled_late_and_poison_change_nothing(workplace: Workplace) -> None:
    draw = random.Random(f"{SEED} messages")  # noqa: S311 - seeded on purpose
    with (
        campaign("Messages: five times, shuffled, late, poison", "deliveries") as tally,
        workplace.workshop(Bag(COPIES), draw) as workshop,
        kept_secret(),
    ):
        postman = Postman(workshop, draw, tally)
        workshop.handle = postman.hand_over
        services, before = workshop.worker(), 0
        for day in itertools.cycle((1, 2)):
            a_day(workshop, services, postman, (before, day))
            before = day
            if tally.count >= DELIVERIES:
                break
        assert_kept(workshop, services)
        workshop.bag.copies, workshop.handle = 1, Letter.hand_over
        workshop.assert_state_agrees(services, before)


def a_day(workshop: Workshop, services: Services, postman: Postman, days: tuple[int, int]) -> None:
    earlier, written = len(workshop.bag.known), sum(workshop.tenant.written(workshop.stack).values())
    before, day = days
    workshop.land(day)
    workshop.work_to_the_end(services, most=5_000)
    told = workshop.told(services)
    workshop.assert_day(services, day, before)
    since = sum(workshop.tenant.written(workshop.stack).values()) - written
    assert since == sum(task["writes"] for task in told["tasks"]), "a row was written twice"
    stored = rows(services, workshop.tenant.environment)
    late = [letter for letter in workshop.bag.known[earlier:] if letter.message] * LATE_COPIES
    for letter in postman.draw.sample(late, len(late)):
        postman.hand_over(letter, services)
    workshop.work_to_the_end(services)
    assert rows(services, workshop.tenant.environment) == stored
    assert workshop.told(services) == told
    assert sum(workshop.tenant.written(workshop.stack).values()) - written == since


class Postman:
    """Delivers what it is given, and now and then something strange."""

    def __init__(self, workshop: Workshop, draw: random.Random, tally: Tally) -> None:
        self.draw = draw
        self._workshop, self._tally = workshop, tally
        self._workers = [workshop.worker() for _ in range(2)]

    def hand_over(self, letter: Letter, _: Services) -> None:
        self._count()
        letter.deliver(self.draw.choice(self._workers))
        known = [one for one in self._workshop.bag.known if one.message]
        if known and self.draw.random() < STRANGE:
            self._count()
            self.draw.choice(known).deliver(self.draw.choice(self._workers))
            message = self.draw.choice(known).message
            assert message is not None
            self._poison(self.draw.choice(poisons(message, self.draw)))

    def _count(self) -> None:
        self._tally.count += 1

    def _poison(self, poison: Poison) -> None:
        """Nothing is raised: what raises comes again ten times, and then from the dead letters for ever."""
        self._count()
        services, bag = self._workers[0], list(self._workshop.bag.letters)
        with Refusals() as refusals:
            if poison.kind is None:
                deliver.step(services, poison.body)
            else:
                deliver.chunk(services, poison.body, poison.kind)
        assert refusals.count or not poison.always, f"nobody says a word of {poison}"
        assert self._workshop.bag.letters == bag or not poison.always, poison


class Refusals(logging.Handler):
    """Counts the messages that are refused."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.getMessage() == "message.refused"

    def __enter__(self) -> Self:
        logging.getLogger("shared.deliver").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("shared.deliver").removeHandler(self)
