"""What happens to an environment, run by run and by hand, and what must be true of its links then.

The rules are said once more here, in plain Python over dictionaries: nothing of the app decides what is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from shared.runs.model import CHILD_REMOVALS, ROWS, Task
from tests.support.deltas import guid
from tests.support.link_world import BRAKE_ROWS, Unified, World, Write

EVERYTHING = 1_000
Links = dict[str, str | None]
Mode = Literal["incremental", "full", "verify", "plan"]
What = Literal["link", "empty", "delete", "create", "recreate lookup", "lose state", "swap codes"]


def profile(customer: int) -> str:
    """The profile's GUID, which is the customer's id."""
    return guid(1_000 + customer)


@dataclass(frozen=True)
class Night:
    """A run: how the snapshot differs from the one before, and what becomes of its writes."""

    mode: Mode = "incremental"
    claims: Mapping[int, frozenset[int]] = field(default_factory=dict)  # row -> its customers from now on
    toggled: frozenset[int] = frozenset()  # customers that get a profile, or lose it
    unreadable: bool = False  # a key names no row
    profiles_held: bool = False  # profiles that left unification are not removed
    unborn: frozenset[int] = frozenset()  # new profiles that Dataverse refuses
    refused: Mapping[int, bool] = field(default_factory=dict)  # rows it refuses; an attempt without answer came before
    sent: int = EVERYTHING  # of each chunk
    begun: int = EVERYTHING
    landed: bool = True  # what has no answer was carried out
    committed: bool = True
    confirmed: bool = False  # a person confirms at once what was held


@dataclass(frozen=True)
class Hand:
    """What somebody else does in Dataverse, or to what the app remembers."""

    what: What
    row: int = 1
    customer: int = 1


@dataclass(frozen=True)
class Confirm:
    """A person confirms what the last run held."""


Step = Night | Hand | Confirm


@dataclass
class Held:
    """What a run held, as it may be confirmed: row -> where its link is to point to."""

    task: Task
    targets: Links


@dataclass
class Story:
    """An environment, and what is true of it."""

    world: World
    claims: dict[int, frozenset[int]] = field(default_factory=dict)
    wanted: set[int] = field(default_factory=set)  # customers that have a profile in the snapshot
    written: set[int] = field(default_factory=set)  # customers whose profile the app wrote and did not remove
    births: Counter[str] = field(default_factory=Counter)  # how often each profile was deleted
    drift: set[str] = field(default_factory=set)  # rows that somebody touched since Dataverse was read
    emptied: set[str] = field(default_factory=set)  # rows whose profile was deleted since then
    ours: dict[str, set[str | None]] = field(default_factory=dict)  # what the app may have written last
    refused: set[str] = field(default_factory=set)  # rows that Dataverse refused last, as far as is known
    fresh: bool = True  # no run has come to its end
    stranger: bool = False  # the lookup is another one than the runs know
    known_lookup: int = 0
    held: Held | None = None
    overtaken: Held | None = None

    def tell(self, step: Step) -> None:
        match step:
            case Night():
                self._night(step)
                if step.confirmed and self.held:
                    self._confirm()
            case Confirm():
                self._confirm()
            case Hand():
                self._hand(step)

    # -- runs ----------------------------------------------------------------------------------------------

    def _night(self, night: Night) -> None:
        self._deliver(night)
        seen, known = dict(self.there), self.world.state()
        if night.mode == "plan":
            self._only_plan(seen)
            return
        dataverse = self.world.dataverse
        nothing_there = not dataverse.lookup and not self.world.by_code
        planned_with = dataverse.lookup
        task = self.world.plan(night.mode)
        dataverse.lookup = dataverse.lookup or 1
        born = self.wanted - {one for one in night.unborn if profile(one) not in dataverse.profiles}
        dataverse.profiles |= {profile(one) for one in born}
        self.written |= born
        self.overtaken, self.held = self.held or self.overtaken, None
        if task is None:
            assert self.there == seen, "a task that is skipped writes nothing"
            self.overtaken = None
            self._remove_profiles(night)
            return
        assert task.read or not self.fresh | self.stranger, "memory is not enough"
        run = Carried(self, task, night, seen, known)
        run.read = task.read and not nothing_there
        run.send(ROWS)
        run.send(CHILD_REMOVALS)
        self._remove_profiles(night)
        if not night.committed:
            self.world.leave(task)
            return
        ended = run.commit()
        self.fresh, self.stranger, self.known_lookup = self.fresh and bool(run.open), False, planned_with
        run.check(ended)
        if ended.confirmable:
            self.held = Held(task, {row: run.target(row) for row in run.held})

    def _deliver(self, night: Night) -> None:
        self.claims = {row: whose for row, whose in (self.claims | dict(night.claims)).items() if whose}
        self.wanted ^= night.toggled
        self.view = {profile(one) for one in self.wanted | (self.written if night.profiles_held else set())}
        pairs = [
            (self._key(row, customer), self._spelled(customer))
            for row, whose in self.claims.items()
            for customer in whose
        ]
        pairs += [("\ufdd0" if self.world.by_code else "no GUID", guid(1))] * night.unreadable
        self.world.unified = Unified(tuple(pairs), {one: f"birth {self.births[one]}" for one in self.view})

    def _key(self, row: int, customer: int) -> str:
        if self.world.by_code:
            return f"code-{row} " if row % 2 else f"CODE-{row}"
        return guid(row).upper() if customer % 2 else f"{{{guid(row)}}}"

    @staticmethod
    def _spelled(customer: int) -> str:
        return profile(customer).upper() + " " * (customer % 2)

    def _only_plan(self, seen: Links) -> None:
        storage = self.world.storage
        before = storage.known, dict(storage.blobs), self.world.dataverse.lookup
        assert self.world.plan("plan") is None or not storage.opened
        assert (storage.known, storage.blobs, self.world.dataverse.lookup) == before, "a plan leaves nothing behind"
        assert self.there == seen

    def _remove_profiles(self, night: Night) -> None:
        if night.profiles_held:
            return
        for one in sorted(self.written - self.wanted):
            pointing = {row for row, to in self.there.items() if to == profile(one)}
            if self.world.dataverse.delete_profile(profile(one)):
                self.emptied |= pointing
                self.births[profile(one)] += 1
                self.written.discard(one)

    def _confirm(self) -> None:
        seen, known = dict(self.there), self.world.state()
        if self.held is None:
            if self.overtaken is not None:
                assert self.world.plan("confirm", self.overtaken.task) is None, "overtaken"
            return
        held, self.held = self.held, None
        task = self.world.plan("confirm", held.task)
        assert task is not None
        run = Carried(self, task, Night(), seen, known)
        run.send(ROWS)
        run.send(CHILD_REMOVALS)
        run.commit()
        assert run.attempted == held.targets, "exactly what was held"
        run.check_state()
        for row, now in self.there.items():
            refused = row in run.refused
            assert now == (held.targets[row] if row in held.targets and not refused else seen[row])

    # -- by hand -------------------------------------------------------------------------------------------

    @property
    def there(self) -> Links:
        return self.world.dataverse.links

    def _hand(self, hand: Hand) -> None:
        dataverse, row = self.world.dataverse, guid(hand.row)
        if hand.what == "lose state":
            self.world.lose_state()
            self.refused = set()
            self.fresh, self.known_lookup = True, 0
            self.overtaken, self.held = self.held or self.overtaken, None
        elif hand.what == "recreate lookup" and dataverse.lookup:
            dataverse.lookup += 1
            self.stranger = bool(self.known_lookup)
            self.drift |= {one for one, to in self.there.items() if to}
            dataverse.links = dict.fromkeys(self.there)
        elif hand.what == "swap codes" and self.world.by_code:
            other = guid(hand.customer)
            dataverse.codes[row], dataverse.codes[other] = dataverse.codes[other], dataverse.codes[row]
        elif hand.what in {"delete", "create"} and (row in self.there) == (hand.what == "delete"):
            if self.world.state().get(row, ("", "missing"))[1] not in {"missing", "uncertain"}:
                self.drift.add(row)
            self.there.pop(row, None) if hand.what == "delete" else self.there.update({row: None})
        elif hand.what in {"link", "empty"} and row in self.there and dataverse.lookup:
            to = profile(hand.customer) if hand.what == "link" else None
            if (to is None or to in dataverse.profiles) and to != self.there[row]:
                self.there[row] = to
                self.drift.add(row)

    def rows(self) -> dict[str, frozenset[int]]:
        """The rows of Dataverse that the snapshot names, with their customers."""
        if not self.world.by_code:
            return {guid(row): whose for row, whose in self.claims.items()}
        named = {code.casefold(): row for row, code in self.world.dataverse.codes.items() if row in self.there}
        return {named.get(f"code-{row}", f"missing {row}"): whose for row, whose in self.claims.items()}


class Carried:
    """A plan that is carried out."""

    def __init__(
        self, story: Story, task: Task, night: Night, seen: Links, known: Mapping[str, tuple[str, str]]
    ) -> None:
        self.story, self.task, self.night, self.seen, self.known = story, task, night, seen, known
        self.planned = story.world.planned(task)
        self.held = {row for row, op in self.planned.items() if op in {"hold_remove", "hold_change"}}
        self.read = task.read
        self.attempted: Links = {}
        self._drift = set(story.drift)
        self._ours = {row: set(to) for row, to in story.ours.items()}
        self.refused: set[str] = set()
        self.open: set[str] = set()
        self._reach: dict[int, tuple[int, int]] = {}
        self._faults: dict[int, dict[int, list[object]]] = {}

    def send(self, stage: int) -> None:
        for chunk in self.story.world.writes(self.task, stage):
            self._check_company({write.row for write in chunk})
            sent = min(self.night.sent, len(chunk))
            begun = min(max(self.night.begun, sent), len(chunk))
            self._reach[chunk[0].chunk], self._faults[chunk[0].chunk] = (sent, begun), {}
            self.open |= {write.row for write in chunk[sent:]}
            for write in chunk[:begun]:
                self._write(write, answered=write.place < sent)

    def _check_company(self, rows: set[str]) -> None:
        """Rows that do not exist, and those that were refused last, spoil nobody else's calls."""
        if self.read:
            assert rows <= self.seen.keys()
        refused = rows & self.story.refused
        assert refused in (set(), rows)
        missing = {row for row in rows - refused if self.known.get(row, ("", ""))[1] == "missing"}
        assert self.read or missing in (set(), rows)

    def _write(self, write: Write, *, answered: bool) -> None:
        self._check_needed(write)
        assert write.row not in self.held
        self.attempted[write.row] = write.profile
        late = {guid(row): late for row, late in self.night.refused.items()}
        ours = self.story.ours.setdefault(write.row, set())
        update = self.story.world.dataverse.update
        if not answered or write.row in late:
            if self.night.landed and (not answered or late[write.row]):
                update(write.row, write.profile)
                ours.add(write.profile)
            if answered:
                self._fault(write, "rejected", uncertain=late[write.row])
            return
        outcome = update(write.row, write.profile)
        if outcome == "written":
            self.story.ours[write.row] = {write.profile}
        else:
            self._fault(write, outcome, uncertain=False)

    def _fault(self, write: Write, kind: str, *, uncertain: bool) -> None:
        self._faults[write.chunk][write.place] = [write.row, kind, uncertain, "0x0", "It cannot be."]
        if kind == "rejected":
            self.refused.add(write.row)

    def _check_needed(self, write: Write) -> None:
        unknown = (
            write.row in self.story.drift | self.story.emptied or self.known.get(write.row, ("", ""))[1] == "uncertain"
        )
        if self.read or not unknown:
            assert self.seen.get(write.row, "no row") != write.profile, f"{write} changes nothing"

    def commit(self) -> Task:
        ended = self.story.world.close(self.task, self._reach, self._faults)
        self._remember_refused()
        if self.read:
            self.story.drift.clear()
            self.story.emptied &= {row for row, to in self.seen.items() if to}  # by this run, after it had read
            for row, whose in self.story.rows().items():
                if len(whose) == 1 and self.seen.get(row) == profile(*whose):
                    self.story.ours.setdefault(row, set()).add(profile(*whose))
        return ended

    def _remember_refused(self) -> None:
        """Rows of this run, and of those before it the ones that it left alone or came to nothing with."""
        unsettled = self.open | self.held | {row for row, op in self.planned.items() if op == "keep"}
        if self.task.confirms:
            unsettled |= self.story.refused - self.planned.keys()
        self.story.refused = self.refused | (self.story.refused & unsettled)
        assert self.story.world.refused() == self.story.refused

    # -- what must be true -----------------------------------------------------------------------------------

    def target(self, row: str) -> str | None:
        """Where the row's link is to point to."""
        right = {profile(one) for one in self.story.rows().get(row, ())} & self.story.view
        if len(self.story.rows().get(row, ())) > 1:
            return self.seen.get(row) if self.seen.get(row) in right else None
        return right.pop() if right else None

    def check(self, ended: Task) -> None:
        self.check_state()
        self._check_brake()
        if self.open:
            return
        for row, now in self.story.there.items():
            if row in self.story.drift or row in self.refused:
                continue
            if self.seen[row] and now is None and self.seen[row] not in self.story.world.dataverse.profiles:
                continue  # emptied by this very run, with the profile
            kept = self.target(row) is None and self.story.world.keep
            assert now == (self.seen[row] if row in self.held or kept else self.target(row)), row
        waiting = {row for row, (_, mark) in self.story.world.state().items() if mark == "missing"}
        if not self.story.world.by_code:
            assert waiting <= self.story.rows().keys(), "a row that left is not waited for"
        self._check_counts(ended)

    def check_state(self) -> None:
        """What the app remembers and what Dataverse holds agree, both ways, but for what it cannot know."""
        state, there = self.story.world.state(), self.story.there
        for row, (entry, mark) in state.items():
            if row not in self.story.drift | self.story.emptied and mark != "uncertain":
                assert there.get(row) == (None if mark == "missing" else entry), f"{row} is remembered as {mark!r}"
        for row, to in there.items():
            if to is not None and row not in self.story.drift:
                assert row in state, f"{row} is linked and forgotten"

    def _check_brake(self) -> None:
        """Without a person, no more than the brake allows of what others wrote is overwritten, or of all cleared."""
        story, there = self.story, self.story.there
        moved = {row for row, to in self.attempted.items() if self.seen.get(row) and there.get(row) == to}
        moved = {row for row in moved if self.read or row not in story.drift}
        cleared = {row for row in moved if self.attempted[row] is None}
        others = {row for row in moved - cleared if self.seen[row] not in self._ours.get(row, set())}
        # An earlier run may have begun to overwrite it, within the brake: whose it was is forgotten then.
        others -= {row for row, (_, mark) in self.known.items() if mark == "uncertain"} - self._drift
        known = len([to for to in self.seen.values() if to]) if self.read else len(self.known)
        affected = len(cleared | others)
        assert affected <= BRAKE_ROWS or affected * 100 <= story.world.brake_percent * known
        if self.held:
            gone = len(self.held) + len(cleared)
            assert self.night.unreadable or gone > BRAKE_ROWS, "nothing is held without a reason"

    def _check_counts(self, ended: Task) -> None:
        counts, whose = ended.counts, self.story.rows()
        overwrites = sum(op == "hold_change" for op in self.planned.values())
        stated = counts.created + counts.changed + counts.unchanged + counts.rejected + counts.missing + overwrites
        assert stated == len(whose) + self.night.unreadable, "no row without a word"
        assert counts.writes == len(self.attempted) - sum(len(of) for of in self._faults.values())
        if self.read:
            lost = {row for row in whose.keys() - self.story.there.keys() if len(whose[row]) == 1 and self.target(row)}
            assert counts.missing == len(lost)
