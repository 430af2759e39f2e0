"""What can go wrong, as one tree. The message says what happened, to which table or row, and what to do.

HydrationError
├── TransientError          nothing is wrong with the work: it is tried again later
│   ├── ThrottledError      ... and not before `retry_after` seconds have passed
│   └── ConflictError       ... after reading again: somebody else changed the row meanwhile
├── ConfigurationError      a person must change a setting, a privilege or the configuration file
├── RequirementError        a documented requirement of a task is not met: the task is Skipped
├── CorruptSnapshotError    the lake's files cannot be read as what their manifest says
├── OvertakenError          what was asked for is too late: something newer has happened since
├── NotFoundError           something that was named does not exist
├── GoneError               something that was named is kept no longer
├── TooLargeError           what was named is too large to be handed out in one answer
├── LostBlobError           a blob that the app wrote itself is gone
├── ClaimLostError          another worker holds the work, or the run is over: stop without writing
└── StoppedError            the run is stopped, canceled for one: send nothing more, and say how far it came
"""

from __future__ import annotations

from collections.abc import Iterable


class HydrationError(Exception):
    """Base of every error that this app raises on purpose."""


class TransientError(HydrationError):
    """The work is sound and can be tried again later."""


class ThrottledError(TransientError):
    """A service asks to wait. `retry_after` is in seconds; `code` is the service's own, where it gave one."""

    def __init__(self, message: str, retry_after: float, *, code: str = "") -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.code = code


class ConflictError(TransientError):
    """A guarded write found another version than it had read: nothing was written."""


class ConfigurationError(HydrationError):
    """Settings, privileges or the configuration file must be changed. `faults` holds one sentence each."""

    def __init__(self, faults: str | Iterable[str]) -> None:
        self.faults = (faults,) if isinstance(faults, str) else tuple(faults)
        super().__init__("\n".join(self.faults))


class RequirementError(HydrationError):
    """What the documentation requires of a task is not given: it is Skipped, and says why."""


class CorruptSnapshotError(HydrationError):
    """A manifest or partition cannot be read as what it claims to be."""


class OvertakenError(HydrationError):
    """What was asked for is refused, because something newer has happened since. The message says what to look at."""


class NotFoundError(HydrationError):
    """The run, task or row that was named does not exist."""


class GoneError(HydrationError):
    """What was named was there, and its time is over."""


class TooLargeError(HydrationError):
    """What was named is there, and too large for one answer. The message says where it lies."""


class LostBlobError(HydrationError):
    """A blob that the app wrote itself is gone from its container. It can be restored by soft delete."""


class ClaimLostError(HydrationError):
    """The claim is held by another worker, has lapsed, or its run is over: write nothing more."""


class StoppedError(HydrationError):
    """The run is stopped: send nothing more, and say how far it came."""
