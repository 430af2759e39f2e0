"""What of ended runs nobody needs any more. Pure functions of what is stored and of the time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.runs import paths
from shared.runs.entities import key
from shared.runs.model import Files, Mode, Phase, Run, Task

_REJECTS = "/rejects.csv"


@dataclass(frozen=True)
class Ended:
    """An ended run, and who may need something of it. `pending`: deltas that some pointer names.

    `confirmable`: its tasks that held what can be confirmed still. `newest`: its environment has no younger run.
    """

    run: Run
    pending: Collection[str] = ()
    confirmable: Sequence[Task] = ()
    newest: bool = False

    def needed(self) -> frozenset[str]:
        """Blobs of it that a later run will read."""
        run = self.run
        folder = paths.run(run.environment, run.id)
        held = (paths.delta(paths.plan(run.environment, task, task.attempt)) for task in self.confirmable)
        return frozenset({*held, *(path for path in self.pending if path.startswith(f"{folder}/"))})


def is_over(run: Run, now: datetime, *, lease_seconds: float) -> bool:
    """Whether it ended so long ago that nobody holds a claim on anything of it."""
    return run.phase is Phase.ENDED and run.ended is not None and now - run.ended >= timedelta(seconds=lease_seconds)


def is_expired(run: Run, now: datetime, days: float) -> bool:
    """Whether what is left of it is kept no longer."""
    return run.phase is Phase.ENDED and run.ended is not None and now - run.ended > timedelta(days=days)


def can_be_confirmed(run: Run, last: str, continuation: Run | None) -> bool:
    """Whether what it held may be carried out still, or is being carried out. `last`: who began to write last."""
    if run.phase is not Phase.ENDED or run.mode is Mode.PLAN:
        return False
    if run.confirmed_by:
        return continuation is not None and continuation.phase is not Phase.ENDED
    return last == run.id


def blobs_to_delete(ended: Ended, found: Iterable[str], *, expired: bool) -> list[str]:
    """What of the blobs in its folder may go, those in a folder before the folder itself."""
    listed = list(found)
    kept = ended.needed() | (set() if expired else {path for path in listed if path.endswith(_REJECTS)})
    folders = {path[:at] for path in kept for at, letter in enumerate(path) if letter == "/"}
    return sorted((path for path in listed if path not in kept and path not in folders), reverse=True)


def files_after(ended: Ended, *, expired: bool) -> Files:
    """What is left of its blobs when those that may go have gone."""
    if ended.needed():
        return Files.ALL
    return Files.NONE if expired else Files.REJECTS


def rows_may_go(ended: Ended, *, expired: bool) -> bool:
    """Whether its rows may go too: of each environment the newest run stays, for people to see."""
    return expired and not ended.newest and not ended.needed()


def states_to_delete(
    found: Iterable[tuple[str, datetime]], named: Collection[str], open_runs: Collection[str], before: datetime
) -> list[str]:
    """Applied states, and what stands beside them, that nobody needs, of those that were written before that time.

    `named` are those of pointers, and those that tasks of open runs were planned against; what an open run wrote itself
    stays whatever names it.
    """
    own = tuple(f"{key(run)}-" for run in open_runs)
    return sorted(
        path
        for path, written in found
        if path.endswith(".parquet")
        and written < before
        and path not in named
        and not path.rsplit("/", 1)[1].startswith(own)
    )
