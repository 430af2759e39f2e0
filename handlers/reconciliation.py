"""The clock: runs that stand still are moved on, snapshots that were missed are taken, what is over is tidied up."""

from __future__ import annotations

import azure.functions as func

from shared import deliver, retention, telemetry
from shared.services import services

blueprint = func.Blueprint()


@blueprint.function_name("reconcile_runs")
@blueprint.timer_trigger(arg_name="timer", schedule="%RECONCILE_SCHEDULE%")
def reconcile_runs(timer: func.TimerRequest, context: func.Context) -> None:  # noqa: ARG001  the worker wants it
    """Move every open run on."""
    with telemetry.span("reconcile_runs", context.trace_context.trace_parent or ""):
        deliver.reconcile(services())


@blueprint.function_name("tidy_up")
@blueprint.timer_trigger(arg_name="timer", schedule="%RECONCILE_SCHEDULE%")
def tidy_up(timer: func.TimerRequest, context: func.Context) -> None:  # noqa: ARG001  the worker wants it
    """Delete what is left of ended runs: a timer of its own, so that no run waits for it."""
    with telemetry.span("tidy_up", context.trace_context.trace_parent or ""):
        retention.tidy(services())


@blueprint.function_name("sweep_snapshots")
@blueprint.timer_trigger(arg_name="timer", schedule="%SWEEP_SCHEDULE%")
def sweep_snapshots(timer: func.TimerRequest, context: func.Context) -> None:  # noqa: ARG001  the worker wants it
    """Look at every environment's folder."""
    with telemetry.span("sweep_snapshots", context.trace_context.trace_parent or ""):
        deliver.sweep(services())
