"""Canceling a run: nothing more of it is begun, what is under way is finished, and what was sent is committed."""

from __future__ import annotations

from shared import lifecycle
from shared.errors import ConflictError, OvertakenError, TransientError
from shared.runs.model import Phase, Run, Status
from shared.services import Services

_ATTEMPTS = 20
_CANCELED = "Canceled: {reason}"
_ON_REQUEST = "somebody asked for it."
_ENDED = "The run {run} ended {status} already: there is nothing to cancel."


def cancel(services: Services, run_id: str, reason: str = "") -> Run:
    """The run, which sends nothing more; the same, however often it is asked for.

    A run that has not begun to send ends at once. Of one that sends, each worker finishes the call that it is in. What
    Dataverse has by then is committed, and the next run does the rest. Raises NotFoundError, and OvertakenError where
    the run has ended otherwise.
    """
    for _ in range(_ATTEMPTS):
        run = services.store.find_run(run_id)
        if run.phase is Phase.ENDED:
            if run.status is not Status.CANCELED:
                raise OvertakenError(_ENDED.format(run=run.id, status=run.status))
            return run
        try:
            _stop(services, run, _CANCELED.format(reason=f"{reason.rstrip('.')}." if reason else _ON_REQUEST))
        except ConflictError:
            continue  # the run has moved on meanwhile: cancel what it is now
        return services.store.run(run.environment, run.id)
    raise TransientError(f"Other workers are busy with the run {run_id}. Try again.")


def _stop(services: Services, run: Run, reason: str) -> None:
    if run.stopped:
        lifecycle.advance(services, run.environment, run.id)  # who stopped it may have come no further
    elif run.phase is Phase.WAITING:
        lifecycle.end_run(services, run, Status.CANCELED, reason)
    else:
        lifecycle.stop(services, run, Status.CANCELED, reason)
