"""Runs as they are when they are opened, and how they end that never begin."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import replace
from datetime import datetime

from shared.runs import life
from shared.runs.model import Mode, Phase, Run, Status
from shared.runs.rows import Lock

_OVERTAKEN = "A newer run ({run}) has started since, and has judged anew: look at what it holds, or ask for a run."
_SUPERSEDED = "Superseded: a newer snapshot arrived before anything was written; the newer run covers it."
_NOT_CONFIGURED = (
    'Not configured: the lake has a folder ci_{environment}, hydration.toml has no [environments."{environment}"].'
)


def no_longer_configured(environment: str) -> str:
    """Why a run ends that waited while its environment was taken out of hydration.toml."""
    return _NOT_CONFIGURED.format(environment=environment)


def automatic(environment: str, fingerprint: str, now: datetime) -> Run:
    """The run that a new snapshot opens."""
    return Run(_new_id(now), environment, fingerprint=fingerprint, opened=now, detail="It waits for its turn.")


def asked_for(environment: str, mode: Mode, tables: tuple[str, ...], now: datetime) -> Run:
    """The run that a person asks for."""
    detail = "It waits for a settled snapshot and for its turn."
    return Run(_new_id(now), environment, mode, manual=True, tables=tables, opened=now, detail=detail)


def continuation(confirmed: Run, now: datetime) -> Run:
    """The run that carries out what another one held."""
    return Run(
        _new_id(now), confirmed.environment, Mode.CONFIRM, manual=True, confirms=confirmed.id, opened=now,
        detail="It waits for its turn.",
    )  # fmt: skip


def not_configured(environment: str, now: datetime) -> Run:
    """The one run that tells of a folder that nobody configured: its id is always the same."""
    return Run(
        f"00000000T000000-{hashlib.sha256(environment.encode()).hexdigest()[:12]}",
        environment,
        status=Status.SKIPPED,
        phase=Phase.ENDED,
        detail=_NOT_CONFIGURED.format(environment=environment),
        opened=now,
        ended=now,
    )


def superseded(run: Run, now: datetime) -> Run:
    """A run that another one covers."""
    return _skipped(run, _SUPERSEDED, now)


def started(run: Run, lock: Lock) -> tuple[Run, Lock]:
    """A run that is given the environment, and the lock that says so."""
    what = f"What the run {run.confirms} held" if run.mode is Mode.CONFIRM else "The snapshot"
    begun = life.run(run, Phase.STARTING, status=Status.REFRESHING, detail=f"{what} is being read.")
    return begun, replace(lock, run=run.id)


def sending(run: Run, lock: Lock) -> tuple[Run, Lock]:
    """A run that begins to write, and the lock that says so: what runs before it held is judged anew from here on."""
    detail = "Dataverse is ready; rows are being sent."
    begun = life.run(run, Phase.SENDING, detail=detail, owner="", lease_until=None)
    return begun, replace(lock, last=run.id)


def overtaken(run: Run, lock: Lock, now: datetime) -> Run | None:
    """A continuation that must not begin any more, as it ends; None: it may, or it is none."""
    if run.mode is not Mode.CONFIRM or lock.last == run.confirms:
        return None
    return _skipped(run, overtaken_by(lock), now)


def overtaken_by(lock: Lock) -> str:
    """Why what a run held cannot be confirmed any more. Runs of earlier versions of the app left no name."""
    return _OVERTAKEN.format(run=lock.last or "its id is not known")


def _skipped(run: Run, detail: str, now: datetime) -> Run:
    return life.run(run, Phase.ENDED, status=Status.SKIPPED, ended=now, detail=detail)


def _new_id(now: datetime) -> str:
    """Ids sort by the time at which the run was asked for."""
    return f"{now:%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:6]}"
