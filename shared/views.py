"""Environments, runs and tasks as the HTTP API shows them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any
from urllib.parse import quote

from shared import lifecycle, pause
from shared.errors import ConfigurationError, NotFoundError
from shared.runs import leftovers
from shared.runs.model import GROUP, Chunk, Environment, Files, Kind, Mode, Phase, Run, Status, Task, TaskPhase
from shared.runs.outcome import NOTHING_WRITTEN
from shared.services import Services
from shared.texts import counted


def environment_view(services: Services, environment: Environment) -> dict[str, Any]:
    """One environment as JSON: what it is bound to, which run has it, and whether it is paused."""
    configured = services.settings.hydration.environments.get(environment.id)
    return {
        "id": environment.id,
        "dataverse_url": configured.dataverse_url if configured else environment.dataverse_url,
        "organization_id": environment.organization_id or None,
        "paused": _time(environment.paused),
        "reason": environment.pause_reason or None,
        "run": services.store.lock(environment.id).run or None,
    }


def run_view(run: Run, environment: Environment | None = None) -> dict[str, Any]:
    """One run as JSON. While its environment is paused, its detail says so."""
    return {
        "id": run.id,
        "environment": run.environment,
        "mode": str(run.mode),
        "origin": "manual" if run.manual else "automatic",
        "tables": list(run.tables),
        "status": str(run.status),
        "detail": run.detail if environment is None else _detail(run, environment),
        "confirms": run.confirms or None,
        "confirmed_by": run.confirmed_by or None,
        "fingerprint": run.fingerprint,
        "opened": _time(run.opened),
        "updated": _time(run.updated),
        "ended": _time(run.ended),
    }


def _detail(run: Run, environment: Environment) -> str:
    """What stands in the run's row is left as it is: it holds again as soon as the environment is resumed."""
    paused = pause.sentence(environment)
    if not paused or run.phase is Phase.ENDED:
        return run.detail
    return paused if run.status is Status.QUEUED else f"{paused}\n{run.detail}"


def runs_view(services: Services, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Runs of any environments as JSON."""
    found = {name: services.store.environment(name) for name in {run.environment for run in runs}}
    return [run_view(run, found[run.environment]) for run in runs]


_NO_RUN = "There is no run {run}. Runs are kept for {days:g} days (retention_days in hydration.toml)."
_REJECTS_GONE = "Its rejects are gone: they are kept for {days:g} days."


def find_run(services: Services, run_id: str) -> Run:
    """A run by its id. Raises NotFoundError, which says that a run is not kept for ever."""
    try:
        return services.store.find_run(run_id)
    except NotFoundError as fault:
        days = services.settings.hydration.retention_days
        raise NotFoundError(_NO_RUN.format(run=run_id, days=days)) from fault


def task_view(services: Services, run: Run, task: Task, chunks: Sequence[Chunk]) -> dict[str, Any]:
    """One task as JSON, with how far it is and until when it waits while it is being sent."""
    wait = _wait(chunks, services.clock.now())
    view = {
        "key": task.key,
        "name": task.name,
        "group": GROUP,
        "status": str(task.status),
        "detail": task.detail,
        **asdict(task.counts),
        "confirmable": task.confirmable,
        "chunks": task.chunks,
        "rejects": None,
        "waits_until": _time(wait.until),
        "updated": _time(task.updated),
    }
    if _is_being_sent(run, task):
        done = sum(chunk.done for chunk in chunks)
        view["chunks_done"] = done
        view["detail"] = _lines(f"{task.detail} {done:,} of {task.chunks:,} chunks are done.", wait.sentence)
    if task.reported and keeps_rejects(services, run):
        view["rejects"] = f"/api/runs/{quote(run.id, safe='')}/rejects/{quote(task.key, safe='')}"
    elif task.reported:
        gone = _REJECTS_GONE.format(days=services.settings.hydration.retention_days)
        view["detail"] = _lines(task.detail, gone)
    return view


def keeps_rejects(services: Services, run: Run) -> bool:
    """Whether the rejects of a run are kept still; not, whether it has any."""
    days = services.settings.hydration.retention_days
    return run.files is not Files.NONE and not leftovers.is_expired(run, services.clock.now(), days)


def run_with_tasks(services: Services, run: Run) -> dict[str, Any]:
    """One run with its tasks, the profile first, links last, and until when it waits, None: for nothing."""
    shown_tasks = (_as_ended(run, task) for task in lifecycle.tasks_of(services, run))
    tasks = sorted(shown_tasks, key=lambda task: (task.kind is Kind.LINK, not task.is_profile, task.name))
    chunks = {task.key: services.store.chunks(task) if _is_being_sent(run, task) else [] for task in tasks}
    wait = _wait(chain.from_iterable(chunks.values()), services.clock.now())
    shown = run_view(run, services.store.environment(run.environment))
    return shown | {
        "detail": _lines(shown["detail"], wait.sentence),
        "waits_until": _time(wait.until),
        "confirmable": sum(task.confirmable for task in tasks),
        "tasks": [task_view(services, run, task, chunks[task.key]) for task in tasks],
    }


def _as_ended(run: Run, task: Task) -> Task:
    """A task that a worker wrote late, of a run that had ended meanwhile, is shown as what became of it: nothing."""
    if run.phase is not Phase.ENDED or task.phase is TaskPhase.ENDED:
        return task
    return replace(task, status=run.status, detail=NOTHING_WRITTEN)


def _is_being_sent(run: Run, task: Task) -> bool:
    return run.phase is Phase.SENDING and task.phase is TaskPhase.PLANNED


@dataclass(frozen=True)
class _Wait:
    """When the next of the chunks that were put off is tried again, and a sentence that says why; empty: none was."""

    until: datetime | None = None
    sentence: str = ""


def _wait(chunks: Iterable[Chunk], now: datetime) -> _Wait:
    """What has a time but no owner was put off: Dataverse asked for it, or something failed for the moment."""
    put_off = [
        (chunk.lease_until, chunk.trouble)
        for chunk in chunks
        if not chunk.done and not chunk.owner and chunk.lease_until is not None and chunk.lease_until > now
    ]
    if not put_off:
        return _Wait()
    until, trouble = min(put_off)
    minute = (until.astimezone(UTC) + timedelta(seconds=59)).strftime("%H:%M")  # never before its time
    said = f"{counted(len(put_off), 'chunk')} {'waits' if len(put_off) == 1 else 'wait'} until {minute} UTC"
    return _Wait(until, f"{said}: {' '.join(trouble.split())}" if trouble else f"{said}.")


def _lines(*texts: str) -> str:
    return "\n".join(filter(None, texts))


def read_request(content: Any) -> tuple[str, Mode, tuple[str, ...]]:
    """The environment, mode and tables that a rerun asks for. Raises ConfigurationError with every fault."""
    faults: list[str] = []
    body = content if isinstance(content, dict) else {}
    if not isinstance(content, dict):
        faults.append('The body must be a JSON object such as {"environment": "<id>", "mode": "incremental"}.')
    environment, mode, tables = body.get("environment"), body.get("mode", "incremental"), body.get("tables", [])
    if faults == [] and (not isinstance(environment, str) or not environment):
        faults.append("environment must be the id of a configured environment.")
    if mode not in _MODES:
        faults.append(f"mode must be one of {', '.join(_MODES)}.")
    if mode == Mode.CONFIRM:
        faults.append("What a run holds is confirmed by POST /api/runs/{its id}/confirm.")
    if not isinstance(tables, list) or not all(isinstance(name, str) and name for name in tables):
        faults.append("tables must be a list of names of output tables or linked tables.")
    elif len(json.dumps(tables)) > _LONGEST_LIST:
        faults.append("tables names too much: leave it out for all of them.")
    faults += [f"{name} is not known here: environment, mode and tables are." for name in sorted(set(body) - _KNOWN)]
    if faults:
        raise ConfigurationError(faults)
    return str(environment), Mode(mode), tuple(tables)


_MODES = tuple(mode for mode in Mode if mode is not Mode.CONFIRM)
_KNOWN = {"environment", "mode", "tables"}
_LONGEST_LIST = 20_000  # characters of JSON: it must fit into the run's row


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
