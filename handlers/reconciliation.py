"""The clock: runs that stand still are moved on, snapshots that were missed or have settled are taken."""

from __future__ import annotations

import azure.functions as func

from shared import deliver, telemetry
from shared.services import services

blueprint = func.Blueprint()


@blueprint.function_name("reconcile_runs")
@blueprint.timer_trigger(arg_name="timer", schedule="%RECONCILE_SCHEDULE%")
def reconcile_runs(timer: func.TimerRequest, context: func.Context) -> None:  # noqa: ARG001  the worker wants it
    """Move every open run on."""
    with telemetry.span("reconcile_runs", context.trace_context.trace_parent or ""):
        deliver.reconcile(services())


@blueprint.function_name("sweep_snapshots")
@blueprint.timer_trigger(arg_name="timer", schedule="%SWEEP_SCHEDULE%")
def sweep_snapshots(timer: func.TimerRequest, context: func.Context) -> None:  # noqa: ARG001  the worker wants it
    """Look at every environment's folder."""
    with telemetry.span("sweep_snapshots", context.trace_context.trace_parent or ""):
        deliver.sweep(services())
