"""What a run is called whose tasks have all ended, and why. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from shared.runs.model import UNKNOWN, Mode, Phase, Run, Status, Task
from shared.texts import counted

NOTHING_WRITTEN = "The run was stopped before anything of it was written."
STOPPED = "The run was stopped before all of it was sent."
_BYPASS = "prvBypassCustomBusinessLogic"
_TOO_LATE = "All had been sent when it was canceled."


def outcome(tasks: Sequence[Task], mode: Mode = Mode.INCREMENTAL) -> tuple[Status, str]:
    """What a run whose tasks have all ended is called, and why. Of a plan: what a run would write."""
    status, refused = _judged(tasks)
    unknown = ", ".join(task.name for task in tasks if task.key.startswith(UNKNOWN))
    absent = f"Not in this snapshot: {unknown}." if unknown and status is Status.SUCCESSFUL else ""
    done = _planned(tasks) if mode is Mode.PLAN else "" if refused else _done(tasks)
    return status, " ".join(filter(None, (done, refused, _logic(tasks), absent)))


def stopped(run: Run, tasks: Sequence[Task]) -> tuple[Status, str]:
    """What a run is called that was stopped, and why: where it had begun to write, its tasks tell how far it came."""
    if run.phase is not Phase.SENDING:
        return run.ends_as, run.stopped
    status, detail = outcome(tasks)
    if any(task.status is Status.CANCELED for task in tasks):
        return status, f"{run.stopped} {detail}"
    return status, f"{detail} {_TOO_LATE}"


def _logic(tasks: Sequence[Task]) -> str:
    """What was in force while links were written."""
    written = [task for task in tasks if task.custom_logic is not None]
    if not written:
        return ""
    if ran := sorted(task.subject for task in written if task.custom_logic):
        return f"Links fired no flows; plug-ins and workflows of {', '.join(ran)} ran (no {_BYPASS})."
    return "Links fired no flows; plug-ins and workflows were bypassed."


def _planned(tasks: Sequence[Task]) -> str:
    written = sum(task.counts.created + task.counts.changed for task in tasks)
    removed = sum(task.counts.removed for task in tasks)
    return (
        f"Nothing was written: this was a plan. A run now would write {counted(written, 'row')} and remove {removed:,}."
    )


def _done(tasks: Sequence[Task]) -> str:
    written = sum(task.counts.writes for task in tasks)
    return f"{counted(written, 'row')} written to Dataverse." if written else "Nothing had changed."


def _judged(tasks: Sequence[Task]) -> tuple[Status, str]:
    """The status, and why it is not Successful."""
    by_status = {status: [task for task in tasks if task.status is status] for status in Status}
    for status in (Status.FAILED, Status.CANCELED):
        if by_status[status]:
            return status, " ".join(f"{task.name}: {_first_sentence(task.detail)}" for task in by_status[status])
    if refused := by_status[Status.COMPLETED_WITH_REJECTS]:
        return Status.COMPLETED_WITH_REJECTS, " ".join(f"{task.name}: {_refusals(task)}." for task in refused)
    if not by_status[Status.SUCCESSFUL]:
        return Status.SKIPPED, " ".join(f"{task.name}: {_first_sentence(task.detail)}" for task in tasks)
    return Status.SUCCESSFUL, ""


def _refusals(task: Task) -> str:
    counts = ((task.counts.rejected, "rejected"), (task.counts.held, "held"))
    return ", ".join(f"{number:,} {what}" for number, what in counts if number)


def _first_sentence(detail: str) -> str:
    return detail.split("\n", 1)[0]
