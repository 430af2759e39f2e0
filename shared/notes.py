"""What a plan tells people: counts, what is held and why, what a run would write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from shared.delta.compare import Delta, Policy
from shared.delta.counts import Counts
from shared.linking import texts
from shared.planning import Draft
from shared.runs import life
from shared.runs.model import Kind, Status, Task, TaskPhase
from shared.texts import counted

if TYPE_CHECKING:
    import duckdb

_SAMPLES = 3
_WORDS = {
    Kind.TABLE: {"create": "created", "change": "changed", "remove": "removed"},
    Kind.LINK: {"create": "set", "change": "re-pointed", "remove": "cleared"},
}


def planned(task: Task, delta: Delta, drafted: Draft, rules: Policy) -> Task:
    """The task with its plan's figures."""
    return life.task(
        task,
        TaskPhase.PLANNED,
        status=Status.REFRESHING,
        detail=f"{delta.created + delta.changed:,} rows to write, {delta.removed:,} to remove.",
        counts=Counts(unchanged=delta.unchanged, rejected=delta.rejected, held=delta.held + delta.held_writes),
        confirmable=delta.held + delta.held_writes,
        chunks=delta.write_chunks + delta.remove_chunks,
        set_name=drafted.set_name,
        primary_id=drafted.primary_id,
        read=drafted.read,
        configuration=drafted.configuration,
        notes=(*task.notes, *drafted.notes, *_notes(task, delta, rules, only_planned=False)),
    )


def would(connection: duckdb.DuckDBPyConnection, task: Task, delta: Delta, drafted: Draft, rules: Policy) -> Task:
    """The task ended, with what a run would write: counts, and the first rows of each kind by their GUIDs."""
    samples = dict(
        connection.execute(
            f"SELECT op, list(id::VARCHAR ORDER BY id)[:{_SAMPLES}] FROM delta WHERE chunk > 0 GROUP BY op"
        ).fetchall()
    )
    numbers = {"create": delta.created, "change": delta.changed, "remove": delta.removed}
    told = [
        f"{number:,} would be {_WORDS[task.kind][op]} ({', '.join(samples[op])}{', ...' if number > _SAMPLES else ''})."
        for op, number in numbers.items()
        if number
    ]
    counts = Counts(
        created=delta.created, changed=delta.changed, unchanged=delta.unchanged, removed=delta.removed,
        rejected=delta.rejected, missing=delta.missing, held=delta.held + delta.held_writes,
    )  # fmt: skip
    others = [f"{delta.unchanged:,} are unchanged."] if delta.unchanged else []
    others += [f"{counted(delta.rejected, _row(task))} would be rejected."] if delta.rejected else []
    others += [f"{counted(delta.missing, 'source row')} missing in Dataverse."] if delta.missing else []
    held = _notes(task, delta, rules, only_planned=True)
    sentences = [*(told or [texts.WOULD_NOT_WRITE]), *others, *task.notes, *drafted.notes, *held]
    status = Status.COMPLETED_WITH_REJECTS if counts.rejected or counts.held else Status.SUCCESSFUL
    return life.task(task, TaskPhase.ENDED, status=status, detail="\n".join(sentences), counts=counts)


def unnamed(task: Task, count: int) -> str:
    """Why rows that look gone are held: some rows of the snapshot may be any of them."""
    if task.kind is Kind.LINK:
        return texts.UNREADABLE_KEYS.format(count=f"{count:,}")
    return f"{counted(count, 'row')} without a key may be any of them"


def _notes(task: Task, delta: Delta, rules: Policy, *, only_planned: bool) -> Iterator[str]:
    if delta.expired:
        yield f"{counted(delta.expired, 'row')} left out for being older than keep_days."
    if delta.duplicates:
        yield f"{counted(delta.duplicates, 'row')} left out for repeating the key of another row."
    braked = texts.OVER_THE_BRAKE.format(percent=f"{rules.brake_percent:g}", known=f"{delta.known:,}")
    removals = 0 if rules.hold else delta.held
    text = texts.WOULD_HOLD if only_planned else texts.HELD
    if delta.held and rules.hold:
        yield text.format(what=_held(task, delta.held, 0), reason=rules.hold, run=task.run)
    if removals or delta.held_writes:
        yield text.format(what=_held(task, removals, delta.held_writes), reason=braked, run=task.run)
    if delta.kept:
        yield f"{counted(delta.kept, _row(task))} kept though absent from the snapshot, as hydration.toml asks."


def _held(task: Task, removals: int, writes: int) -> str:
    """What is held, as the beginning of a sentence."""
    if task.kind is Kind.TABLE:
        return f"{counted(removals, 'row')} not removed though absent from the snapshot"
    cleared = [f"{counted(removals, 'link')} not cleared though the row or its profile left unification"]
    overwritten = [f"{counted(writes, 'link')} that somebody else wrote not overwritten"]
    return " and ".join((cleared if removals else []) + (overwritten if writes else []))


def _row(task: Task) -> str:
    return "row" if task.kind is Kind.TABLE else "link"
