"""The truth about runs, in Azure Tables.

HydrationRuns    partition = environment: its row, the lock and the runs, so that they change in one transaction
HydrationTasks   partition = run: its tasks and, per task, when it last moved and when it was asked to be closed
HydrationChunks  partition = run, task and plan attempt: `open|stage|n` becomes `done|stage|n` in one transaction
HydrationState   partition = organization: which file holds the applied state of a table; which environment owns it
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from azure.core.exceptions import ResourceExistsError

from shared.clock import Clock
from shared.errors import ConflictError, NotFoundError
from shared.runs.entities import key, run_row
from shared.runs.model import Chunk, Environment, Run, Task
from shared.runs.past import Past
from shared.runs.rows import Asked, Lock, Moved, Owner, Pointer, Progress
from shared.runs.tables import TRANSACTION_LIMIT, Delete, Table, Write, service
from shared.settings import Connection

NAMES = ("HydrationRuns", "HydrationTasks", "HydrationChunks", "HydrationState")


class Store:
    """Typed, guarded reads and writes. A write that finds another version raises ConflictError and changes nothing."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        client = service(connection, clock)
        self._runs, self._tasks, self._chunks, self._state = (Table(client.get_table_client(name)) for name in NAMES)
        self._service = client
        self.past = Past(self._runs, self._tasks, self._chunks)
        self.clock = clock

    def create_tables(self) -> None:
        """Create what is missing."""
        for name in NAMES:
            try:
                self._service.create_table(name)
            except ResourceExistsError:
                continue

    # -- environments and runs ---------------------------------------------------------------------

    def environment(self, environment: str) -> Environment:
        """What is known of an environment; a fresh row where nothing is."""
        return self._runs.get(Environment, key(environment), "environment") or Environment(environment)

    def environments(self) -> list[Environment]:
        """Every environment that was ever seen."""
        return self._runs.query(Environment, "RowKey eq @row", row="environment")

    def save_environment(self, environment: Environment) -> Environment:
        """Write the row guarded by its version."""
        etag = self._runs.write(self._environment_write(environment))
        return replace(environment, etag=etag)

    def run(self, environment: str, run: str) -> Run:
        """One run. Raises NotFoundError."""
        found = self._runs.get(Run, key(environment), run_row(run))
        if found is None:
            raise NotFoundError(f"There is no run {run} of environment {environment}.")
        return found

    def find_run(self, run: str) -> Run:
        """One run by its id alone. Raises NotFoundError."""
        found = self._runs.query(Run, "RowKey eq @row", row=run_row(run))
        if not found:
            raise NotFoundError(f"There is no run {run}.")
        return found[0]

    def runs(self, environment: str | None = None, *, limit: int = 50) -> list[Run]:
        """The newest runs, of one environment or of all."""
        low, high = "run ", "run!"
        condition = "RowKey ge @low and RowKey lt @high"
        if environment is not None:
            condition = f"PartitionKey eq @environment and {condition}"
            return self._runs.query(Run, condition, limit=limit, environment=key(environment), low=low, high=high)
        return sorted(self._runs.query(Run, condition, low=low, high=high), key=lambda run: run.id, reverse=True)[
            :limit
        ]

    def waiting_runs(self, environment: str) -> list[Run]:
        """Runs that have not taken the lock yet, oldest first."""
        condition = "PartitionKey eq @environment and RowKey ge @low and RowKey lt @high and phase eq 'waiting'"
        found = self._runs.query(Run, condition, environment=key(environment), low="run ", high="run!")
        return sorted(found, key=lambda run: run.id)

    def lock(self, environment: str) -> Lock:
        """Which run holds the environment."""
        return self._runs.get(Lock, key(environment), "lock") or Lock()

    def save_runs(
        self, runs: Sequence[Run], *, environment: Environment | None = None, lock: Lock | None = None
    ) -> list[Run]:
        """Write runs of one environment, with its row and its lock where given, all or none.

        Each is guarded by the version that its `etag` names.
        """
        now = self.clock.now()
        stamped = [replace(run, updated=now) for run in runs]
        writes: list[Write] = [Write(run, key(run.environment), run_row(run.id), run.etag) for run in stamped]
        if environment is not None:
            writes.append(self._environment_write(environment))
        if lock is not None:
            writes.append(Write(lock, writes[0].partition, "lock", lock.etag))
        etags = [self._runs.write(writes[0])] if len(writes) == 1 else self._runs.transact(writes)
        return [replace(run, etag=etag) for run, etag in zip(stamped, etags, strict=False)]

    def save_run(self, run: Run) -> Run:
        """Write one run guarded by its version."""
        return self.save_runs([run])[0]

    @staticmethod
    def _environment_write(environment: Environment) -> Write:
        return Write(environment, key(environment.id), "environment", environment.etag)

    # -- tasks ---------------------------------------------------------------------------------------

    def tasks(self, run: str) -> list[Task]:
        """The tasks of a run, by key."""
        condition = "PartitionKey eq @run and RowKey ge @low and RowKey lt @high"
        return self._tasks.query(Task, condition, run=key(run), low="task ", high="task!")

    def task(self, run: str, task: str) -> Task:
        """One task. Raises NotFoundError."""
        found = self._tasks.get(Task, key(run), f"task {key(task)}")
        if found is None:
            raise NotFoundError(f"Run {run} has no task {task}.")
        return found

    def save_task(self, task: Task) -> Task:
        """Write one task guarded by its version."""
        task = replace(task, updated=self.clock.now())
        return replace(task, etag=self._tasks.write(Write(task, key(task.run), f"task {key(task.key)}", task.etag)))

    def begin_round(self, run: Run, tasks: Iterable[Task]) -> None:
        """Exactly these tasks for the run's attempt; those that were written for it before are left as they are.

        Raises ConflictError where another worker does the same at the same moment, or has begun a later round.
        """
        wanted = {task.key: replace(task, round=run.attempt, updated=self.clock.now()) for task in tasks}
        known = {task.key: task for task in self.tasks(run.id)}
        if any(task.round > run.attempt for task in known.values()):
            raise ConflictError(f"The run {run.id} has begun another round.")
        for old in known.values():
            if old.round != run.attempt and old.key not in wanted:
                self._tasks.transact([Delete(key(run.id), f"task {key(old.key)}", old.etag)])
        for task in wanted.values():
            before = known.get(task.key)
            if before is None or before.round != run.attempt:
                etag = before.etag if before else ""
                self._tasks.write(Write(task, key(run.id), f"task {key(task.key)}", etag))

    def moved(self, run: str, task: str) -> None:
        """Note that the task got something done just now."""
        self._tasks.put(Moved(self.clock.now()), key(run), f"moved {key(task)}")

    def asked_to_close(self, run: str, task: str) -> None:
        """Note that the closing of the task is asked for just now."""
        self._tasks.put(Asked(self.clock.now(), task), key(run), f"asked {key(task)}")

    def progress(self, run: str) -> Progress:
        """How far the run is, read at once."""
        kinds: Mapping[str, type] = {"asked": Asked, "moved": Moved, "task": Task}
        condition = "PartitionKey eq @run and RowKey ge @low and RowKey lt @high"
        rows = self._tasks.query_kinds(kinds, condition, run=key(run), low="asked ", high="task!")
        moved = [row.at for row in rows if isinstance(row, Moved) and row.at is not None]
        closing = {row.task: row.at for row in rows if isinstance(row, Asked) and row.at is not None}
        return Progress([row for row in rows if isinstance(row, Task)], max(moved, default=None), closing)

    # -- chunks --------------------------------------------------------------------------------------

    def add_chunks(self, chunks: Sequence[Chunk]) -> None:
        """Write the open chunks of a plan attempt (before it is published, and before any message names them)."""
        self._chunks.insert_all(Write(chunk, *self._chunk_keys(chunk)) for chunk in chunks)

    def chunk(self, task: Task, stage: int, number: int) -> Chunk | None:
        """One chunk of the task's published plan, open or done."""
        wanted = Chunk(task.run, task.key, task.attempt, number, stage, 0)
        return self._chunks.get(Chunk, *self._chunk_keys(wanted)) or self._chunks.get(
            Chunk, *self._chunk_keys(replace(wanted, done=True))
        )

    def chunks(self, task: Task) -> list[Chunk]:
        """Every chunk of the task's published plan."""
        return self._chunks.query(Chunk, "PartitionKey eq @plan", plan=self._plan(task.run, task.key, task.attempt))

    def open_chunks(self, task: Task, *, up_to: int, limit: int | None = None) -> list[Chunk]:
        """Chunks without an outcome whose stage is at most `up_to`, lowest stage first."""
        condition = "PartitionKey eq @plan and RowKey ge @low and RowKey lt @high"
        plan = self._plan(task.run, task.key, task.attempt)
        return self._chunks.query(Chunk, condition, limit=limit, plan=plan, low="open|", high=f"open|{up_to + 1}|")

    def save_chunk(self, chunk: Chunk) -> Chunk:
        """Write an open chunk guarded by its version."""
        return replace(chunk, etag=self._chunks.write(Write(chunk, *self._chunk_keys(chunk), chunk.etag)))

    def conclude_chunk(self, chunk: Chunk) -> None:
        """Move an open chunk to done, in one transaction."""
        self.conclude_chunks([chunk])

    def conclude_chunks(self, chunks: Sequence[Chunk]) -> None:
        """Move open chunks of one plan to done, each guarded by its version, in as few transactions as possible."""
        moves = [move for chunk in chunks for move in self._concluded(chunk)]
        for start in range(0, len(moves), TRANSACTION_LIMIT):
            self._chunks.transact(moves[start : start + TRANSACTION_LIMIT])

    def _concluded(self, chunk: Chunk) -> tuple[Delete, Write]:
        done = replace(chunk, done=True, owner="", lease_until=None)
        return Delete(*self._chunk_keys(chunk), chunk.etag), Write(done, *self._chunk_keys(done))

    @staticmethod
    def _plan(run: str, task: str, attempt: str) -> str:
        return f"{key(run)}|{key(task)}|{key(attempt)}"

    def _chunk_keys(self, chunk: Chunk) -> tuple[str, str]:
        prefix = "done" if chunk.done else "open"
        return self._plan(chunk.run, chunk.task, chunk.attempt), f"{prefix}|{chunk.stage}|{chunk.number:08}"

    # -- applied state -------------------------------------------------------------------------------

    def pointer(self, organization: str, prefix: str, table: str) -> Pointer:
        """Where a table's applied state lies; empty where nothing was ever written."""
        return self._state.get(Pointer, key(organization), f"state {key(prefix)}|{key(table)}") or Pointer()

    def pointers(self, organization: str, prefix: str) -> list[Pointer]:
        """Every table of the organization that we ever wrote to under the prefix."""
        low = f"state {key(prefix)}|"
        return self._state.query(
            Pointer, "PartitionKey eq @organization and RowKey ge @low and RowKey lt @high",
            organization=key(organization), low=low, high=low + "~",
        )  # fmt: skip

    def all_pointers(self, organization: str) -> list[Pointer]:
        """Every table of the organization that we ever wrote to, whatever the prefix was."""
        return self._state.query(
            Pointer, "PartitionKey eq @organization and RowKey ge @low and RowKey lt @high",
            organization=key(organization), low="state ", high="state!",
        )  # fmt: skip

    def save_pointer(self, organization: str, prefix: str, pointer: Pointer) -> None:
        """Let a table's state be another file, guarded by the version that was read."""
        row = f"state {key(prefix)}|{key(pointer.table)}"
        self._state.write(Write(pointer, key(organization), row, pointer.etag))

    def owner(self, organization: str, configured: Collection[str]) -> str:
        """The environment that writes to an organization, as long as it is configured; empty: none."""
        found = self._state.get(Owner, key(organization), "owner") or Owner()
        return found.environment if found.environment in configured else ""

    def claim_organization(self, organization: str, environment: str, configured: Collection[str]) -> str:
        """The environment that writes to an organization: the first that asked, as long as it is configured."""
        found = self._state.get(Owner, key(organization), "owner") or Owner()
        if found.environment in configured:
            return found.environment
        try:
            self._state.write(Write(Owner(environment), key(organization), "owner", found.etag))
        except ConflictError:
            return self.claim_organization(organization, environment, configured)
        return environment
