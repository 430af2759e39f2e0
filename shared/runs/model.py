"""The vocabulary of a run. Frozen values; `etag` is the version that a guarded write must find unchanged."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.delta.counts import Counts

LINKING = "CustomerId Backstamping Hydration"
"""The linking task's name, as users know it from Microsoft's documentation."""

GROUP = "Dataverse Hydration"
"""The group that the tasks are shown under."""


UNKNOWN = "unknown."
"""What the key of a task begins with that was asked for and is not in the snapshot."""


class Status(StrEnum):
    """What a person is told of a run or task."""

    NOT_STARTED = "Not started"
    QUEUED = "Queued"
    REFRESHING = "Refreshing"
    SUCCESSFUL = "Successful"
    COMPLETED_WITH_REJECTS = "Completed with rejects"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    CANCELED = "Canceled"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens."""
        return self not in {Status.NOT_STARTED, Status.QUEUED, Status.REFRESHING}


class Phase(StrEnum):
    """Where in its life a run is."""

    WAITING = "waiting"  # for the environment's lock, and for a settled snapshot where it has none yet
    STARTING = "starting"  # holds the lock; the snapshot is being pinned and its tasks found
    PLANNING = "planning"  # every task compares the snapshot with what Dataverse holds; nothing is written
    PREPARING = "preparing"  # the lake is looked at again, missing tables and columns are created
    SENDING = "sending"  # chunks are written, stage by stage
    ENDED = "ended"


class TaskPhase(StrEnum):
    """Where in its life a task is."""

    WAITING = "waiting"
    PLANNING = "planning"
    PLANNED = "planned"
    ENDED = "ended"


class Mode(StrEnum):
    """How much a run writes, and what it compares the snapshot with."""

    INCREMENTAL = "incremental"  # what differs from what Dataverse holds because of us
    FULL = "full"  # every row again; links as in verify
    VERIFY = "verify"  # links that differ from what unification says, whoever changed them; rows as incremental
    PLAN = "plan"  # nothing: it says what an incremental run would write
    CONFIRM = "confirm"  # exactly what another run held; asked for by confirming that run


class Kind(StrEnum):
    """What a task writes."""

    TABLE = "table"  # rows of an output table
    LINK = "link"  # the lookup of a source table


PROFILES, ROWS, CHILD_REMOVALS, PROFILE_REMOVALS = 1, 2, 3, 4
"""The stages, in the order in which they are sent: a link needs its profile, a profile goes after its children."""

LAST_STAGE = PROFILE_REMOVALS


class Files(StrEnum):
    """What the app's container holds of a run."""

    ALL = "all"  # what it was planned with and what was noted while it was sent; its rejects
    REJECTS = "rejects"
    NONE = "none"


@dataclass(frozen=True)
class Environment:
    """What is known of one `ci_<id>` folder and the organization that it is bound to."""

    id: str
    seen_fingerprint: str = ""
    seen_since: datetime | None = None
    incomplete_since: datetime | None = None
    opened_fingerprint: str = ""
    organization_id: str = ""
    dataverse_url: str = ""
    paused: datetime | None = None  # since when nothing is begun here
    pause_reason: str = ""
    etag: str = ""


@dataclass(frozen=True)
class Run:
    """One attempt to bring an environment up to date with one snapshot of the lake."""

    id: str
    environment: str
    mode: Mode = Mode.INCREMENTAL
    manual: bool = False
    tables: tuple[str, ...] = ()  # asked for; empty: all
    confirms: str = ""  # the run whose held removals and overwrites this one carries out
    confirmed_by: str = ""  # the run that carries out what this one held
    status: Status = Status.QUEUED
    detail: str = ""
    phase: Phase = Phase.WAITING
    stopped: str = ""  # why nothing more of it is begun, though it has not ended; empty: it goes on
    ends_as: Status = Status.CANCELED  # what it is called once it has ended, where it was stopped
    attempt: int = 1  # grows when the lake changed while it was planned
    stage: int = 0
    dispatched: int = 0  # the highest stage whose messages were sent
    fingerprint: str = ""
    organization_id: str = ""
    files: Files = Files.ALL  # what is left of them
    opened: datetime | None = None
    updated: datetime | None = None
    ended: datetime | None = None
    owner: str = ""  # the worker that prepares it
    lease_until: datetime | None = None
    etag: str = ""

    @property
    def covers(self) -> bool:
        """Whether it brings all of its snapshot to Dataverse, so that no other run is needed for it."""
        return not self.tables and self.mode not in {Mode.PLAN, Mode.CONFIRM}


@dataclass(frozen=True)
class Task:
    """One output table, or one source table to link, within a run."""

    run: str
    key: str
    name: str
    kind: Kind
    subject: str  # the output table's name, or the source table's logical name
    status: Status = Status.QUEUED
    detail: str = ""
    phase: TaskPhase = TaskPhase.WAITING
    failure: str = ""  # set while its chunks are still open: nothing more of it is sent
    owner: str = ""
    lease_until: datetime | None = None
    tries: int = 0
    attempt: str = ""  # the plan attempt that was published
    sources: tuple[str, ...] = ()  # for links: JSON of [data source, table, key] each; the key may be unknown: ""
    base_state: str = ""  # the applied state that the plan was made against
    read: bool = False  # the plan was made against what Dataverse holds, which stands beside it
    origin: str = ""  # where its rows come from, where that may change
    configuration: str = ""  # of a linked table: what its links depend on; when it changes, Dataverse is read
    confirmable: int = 0  # removals and overwrites that the plan held, which a person may confirm
    confirms: str = ""  # the plan attempt whose held rows this task carries out
    custom_logic: bool | None = None  # of links that were written: whether plug-ins and workflows ran
    reported: bool = False  # a file of its rejects was written
    chunks: int = 0
    set_name: str = ""  # how its Dataverse table is addressed
    primary_id: str = ""
    round: int = 1  # the attempt of its run that it belongs to
    notes: tuple[str, ...] = ()  # sentences for the detail text
    counts: Counts = field(default_factory=Counts)
    updated: datetime | None = None
    etag: str = ""

    @property
    def write_stage(self) -> int:
        """The stage in which its rows are written."""
        return PROFILES if self.is_profile else ROWS

    @property
    def remove_stage(self) -> int:
        """The stage in which rows that left the snapshot are removed, or links cleared."""
        return PROFILE_REMOVALS if self.is_profile else CHILD_REMOVALS

    @property
    def is_profile(self) -> bool:
        """Whether this is the table that every other one points to."""
        return self.kind is Kind.TABLE and self.subject == "CustomerProfile"


@dataclass(frozen=True)
class Chunk:
    """A numbered part of a plan. Rows before `sent` have a stated outcome; those up to `begun` may have been sent."""

    run: str
    task: str
    attempt: str
    number: int
    stage: int
    rows: int
    done: bool = False
    sent: int = 0
    begun: int = 0
    noted: str = ""  # names the blob of the rows, of those before `sent`, that came to something else than written
    owner: str = ""
    lease_until: datetime | None = None
    tries: int = 0
    trouble: str = ""  # why it was put off last; holds no customer's value
    custom_logic: bool = False  # plug-ins and workflows ran, because they could not be bypassed
    failure: str = ""
    etag: str = ""
