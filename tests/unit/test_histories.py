"""Whole histories of a run: messages are lost, doubled and late, workers die, people pause it; it ends all the same.

The decisions are the real ones. What carries them out is a model: a run, its tasks and chunks as values, a bag of
messages, a clock that a history turns.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.runs import reconcile as decide
from shared.runs.messages import ChunkMessage, Step, TableMessage
from shared.runs.model import Chunk, Kind, Mode, Phase, Run, Status, Task, TaskPhase

LEASE = 10.0
PATIENCE = decide.Patience(settle=0, whole_within=0, resend=LEASE, tries=10)
Message = TableMessage | ChunkMessage
BEGINNING = {Step.START, Step.PLAN, Step.PREPARE}
UNPLANNED = {TaskPhase.WAITING, TaskPhase.PLANNING}


@dataclass(frozen=True)
class Plan:
    """What planning a task will come to: the stages of its chunks, or None where it ends Skipped."""

    stages: tuple[int, ...] | None


@dataclass
class World:
    """One run on its way."""

    plans: dict[str, Plan]
    mode: Mode = Mode.INCREMENTAL
    paused: bool = False
    now: datetime = datetime(2026, 11, 2, tzinfo=UTC)
    tasks: dict[str, Task] = field(default_factory=dict)
    chunks: dict[tuple[str, int], Chunk] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    late: list[tuple[datetime, Message]] = field(default_factory=list)  # scheduled
    moved: datetime | None = None
    sent: list[int] = field(default_factory=list)  # stages, in the order in which chunks were concluded

    def __post_init__(self) -> None:
        self.run = Run("r", "e", self.mode, phase=Phase.STARTING, updated=self.now)
        self.messages = [self.step(Step.START)]

    def step(self, step: Step, task: str = "") -> TableMessage:
        return TableMessage(step, "e", "r", task)

    def save_run(self, **fields: Any) -> None:
        self.run = replace(self.run, updated=self.now, **fields)

    def save_task(self, key: str, **fields: Any) -> None:
        self.tasks[key] = replace(self.tasks[key], updated=self.now, **fields)

    def open_chunks(self, key: str) -> list[Chunk]:
        return [chunk for chunk in self.chunks.values() if chunk.task == key and not chunk.done]

    # -- carrying out what was decided: as the lifecycle does ------------------------------------------

    def resume(self) -> None:
        self.paused = False
        self.advance(lost=True)

    def advance(self, *, lost: bool = False) -> None:
        while self.run.phase not in {Phase.WAITING, Phase.ENDED}:
            planned = [task.key for task in self.tasks.values() if task.phase is TaskPhase.PLANNED]
            lowest = {key: min((chunk.stage for chunk in self.open_chunks(key)), default=0) for key in planned}
            actions = decide.reconcile(
                self.run,
                list(self.tasks.values()),
                {key: stage for key, stage in lowest.items() if stage},
                now=self.now,
                moved=self.moved,
                patience=PATIENCE,
                paused=self.paused,
                lost=lost,
            )
            again = [self.carry_out(action) for action in actions]
            if not any(again):
                return
            lost = False

    def carry_out(self, action: decide.Action) -> bool:
        match action:
            case decide.SendStart():
                self.messages.append(self.step(Step.START))
            case decide.SendPlan(task):
                self.messages.append(self.step(Step.PLAN, task.key))
            case decide.SendClose(task):
                self.messages.append(self.step(Step.CLOSE, task.key))
            case decide.EndTask(task, status, _):
                self.save_task(task.key, phase=TaskPhase.ENDED, status=status)
                return True
            case decide.Prepare(already):
                if not already:
                    self.save_run(phase=Phase.PREPARING)
                self.messages.append(self.step(Step.PREPARE))
            case decide.OpenStage(stage):
                assert stage > self.run.stage
                self.save_run(stage=stage)
                return True
            case decide.Dispatch(stage, held):
                self.dispatch(stage, held=held)
            case decide.EndRun(status, _):
                assert not any(self.open_chunks(key) for key in self.tasks)
                self.save_run(phase=Phase.ENDED, status=status)
        return False

    def dispatch(self, stage: int, *, held: bool) -> None:
        for chunk in self.chunks.values():
            free = held or chunk.lease_until is None or chunk.lease_until <= self.now
            if not chunk.done and chunk.stage <= stage and free:
                self.messages.append(ChunkMessage("e", "r", chunk.task, "a", chunk.stage, chunk.number))
                self.moved = self.now
        if self.run.dispatched < stage:
            self.save_run(dispatched=stage)

    def due(self) -> None:
        """What was scheduled arrives when its time has come."""
        self.messages += [message for at, message in self.late if at <= self.now]
        self.late = [(at, message) for at, message in self.late if at > self.now]

    # -- workers ----------------------------------------------------------------------------------------

    def deliver(self, message: Message, *, dies: bool) -> None:
        """A worker takes the message; if it dies, it has claimed what it works on, and does no more."""
        if self.paused and (isinstance(message, ChunkMessage) or message.step in BEGINNING):
            return  # put aside
        if isinstance(message, ChunkMessage):
            self.send(message, dies=dies)
        elif message.step is Step.START and self.run.phase is Phase.STARTING and not dies:
            self.tasks = {key: Task("r", key, key, Kind.TABLE, key, updated=self.now) for key in self.plans}
            self.save_run(phase=Phase.PLANNING)
            self.send_plans()
        elif message.step is Step.PREPARE and self.run.phase is Phase.PREPARING and not dies:
            self.save_run(phase=Phase.SENDING)
        elif message.step in {Step.PLAN, Step.CLOSE} and message.task in self.tasks:
            self.work_on_task(self.tasks[message.task], message.step, dies=dies)
        if not dies:
            self.advance()

    def send_plans(self) -> None:
        self.messages += [self.step(Step.PLAN, task.key) for task in decide.plannable(list(self.tasks.values()))]

    def work_on_task(self, task: Task, step: Step, *, dies: bool) -> None:
        held = task.lease_until is not None and task.lease_until > self.now
        plans = step is Step.PLAN and self.run.phase is Phase.PLANNING
        plans = plans and task.key in {one.key for one in decide.plannable(list(self.tasks.values()))}
        closes = step is Step.CLOSE and self.run.phase is Phase.SENDING and task.phase is TaskPhase.PLANNED
        closes = closes and not self.open_chunks(task.key)
        if held or not (plans or closes):
            return
        if plans and not task.is_profile:
            waits = [one.key for one in self.tasks.values() if one.is_profile and one.phase in UNPLANNED]
            assert not waits, "the profiles are planned before what points to them"
        if dies:
            phase = TaskPhase.PLANNING if plans else TaskPhase.PLANNED
            lease = self.now + timedelta(seconds=LEASE)
            self.save_task(task.key, phase=phase, owner="dead", lease_until=lease, tries=task.tries + 1)
        elif plans and self.mode is not Mode.PLAN and (stages := self.plans[task.key].stages) is not None:
            for number, stage in enumerate(stages):
                self.chunks[task.key, number] = Chunk("r", task.key, "a", number, stage, 1)
            self.save_task(task.key, phase=TaskPhase.PLANNED, owner="", lease_until=None)
        else:
            status = Status.SUCCESSFUL if closes or self.mode is Mode.PLAN else Status.SKIPPED
            self.save_task(task.key, phase=TaskPhase.ENDED, status=status, owner="", lease_until=None)
        if plans and not dies and task.is_profile:
            self.send_plans()

    def send(self, message: ChunkMessage, *, dies: bool) -> None:
        chunk, task = self.chunks[message.task, message.number], self.tasks[message.task]
        if chunk.lease_until is not None and chunk.lease_until > self.now and not chunk.done:
            self.late.append((chunk.lease_until, message))  # put off until its claim has lapsed
            return
        wanted = self.run.phase is Phase.SENDING and message.stage <= self.run.stage
        if chunk.done or not wanted or task.phase is not TaskPhase.PLANNED:
            return
        if dies:
            lease = self.now + timedelta(seconds=LEASE)
            self.chunks[message.task, message.number] = replace(chunk, owner="dead", lease_until=lease)
            return
        self.chunks[message.task, message.number] = replace(chunk, done=True, owner="", lease_until=None)
        self.moved = self.now
        self.sent.append(chunk.stage)


plans = st.dictionaries(
    st.sampled_from(["CustomerProfile", "key", "contact", "lead"]),
    st.builds(Plan, st.none() | st.lists(st.integers(1, 4), max_size=3).map(tuple)),
)
fates = st.lists(
    st.tuples(
        st.sampled_from(["deliver", "deliver", "die", "lose", "double", "wait", "tick", "pause", "resume"]),
        st.integers(0, 99),
    ),
    max_size=80,
)


@settings(max_examples=400, deadline=None)
@given(plans, fates, st.sampled_from([Mode.INCREMENTAL, Mode.PLAN]))
def test_every_history_ends_the_run(found: dict[str, Plan], history: list[tuple[str, int]], mode: Mode) -> None:
    world = World(found, mode)
    for fate, number in history:
        happen(world, fate, number)
    if world.paused:
        world.resume()
    for _ in range(60):  # from here on nothing goes wrong; the timer and late messages are enough
        while world.messages:
            world.deliver(world.messages.pop(0), dies=False)
        world.now += timedelta(seconds=LEASE)
        world.due()
        world.advance()
        if world.run.phase is Phase.ENDED:
            break
    assert world.run.status.ended
    assert all(task.phase is TaskPhase.ENDED for task in world.tasks.values())
    assert all(chunk.done for chunk in world.chunks.values())
    assert world.sent == sorted(world.sent), "a stage begins when those before it are over"
    assert len(world.sent) == len(world.chunks), "every chunk once"
    assert world.mode is not Mode.PLAN or not world.chunks, "a plan writes nothing"


def work(world: World) -> None:
    while world.messages:
        world.deliver(world.messages.pop(0), dies=False)


@settings(max_examples=200, deadline=None)
@given(plans, st.integers(0, 60), st.sampled_from([0, 100]))
def test_nothing_is_begun_in_a_pause_and_all_goes_on_at_once_after_it(
    found: dict[str, Plan], before: int, leases: int
) -> None:
    world = World(found)
    for _ in range(before):
        if world.messages:
            world.deliver(world.messages.pop(0), dies=False)
    world.paused = True
    sent, run = list(world.sent), world.run
    work(world)
    world.now += timedelta(seconds=leases * LEASE)
    world.advance()  # the timer ticks in a pause, too
    work(world)
    assert world.sent == sent, "no chunk is begun"
    assert world.run.phase in {run.phase, Phase.ENDED}
    assert world.run.stage == run.stage
    world.resume()
    work(world)  # no time passes, and no timer ticks
    assert world.run.phase is Phase.ENDED
    assert len(world.sent) == len(world.chunks)


@settings(max_examples=200, deadline=None)
@given(plans, fates)
def test_a_run_that_stays_paused_begins_nothing_more(found: dict[str, Plan], history: list[tuple[str, int]]) -> None:
    world = World(found)
    for fate, number in history:
        happen(world, fate, number)
    world.paused = True
    sent, tries = list(world.sent), {key: task.tries for key, task in world.tasks.items()}
    for _ in range(5):
        work(world)
        world.now += timedelta(seconds=LEASE)
        world.due()
        world.advance()
    assert world.sent == sent
    assert {key: task.tries for key, task in world.tasks.items() if task.phase in UNPLANNED}.items() <= tries.items()


def happen(world: World, fate: str, number: int) -> None:
    if fate == "wait":
        world.now += timedelta(seconds=number / 10)
    elif fate == "pause":
        world.paused = True
    elif fate == "resume":
        world.resume()
    elif fate == "tick" or not world.messages:
        world.now += timedelta(seconds=LEASE)
        world.due()
        world.advance()
    else:
        place = number % len(world.messages)
        message = world.messages[place]
        if fate != "double":
            world.messages.pop(place)
        if fate != "lose":
            world.deliver(message, dies=fate == "die")
