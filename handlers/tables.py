"""Steps of runs: pin, plan, prepare, advance, close."""

from __future__ import annotations

import azure.functions as func

from shared import deliver, telemetry
from shared.runs.messages import TABLES_QUEUE
from shared.services import services

blueprint = func.Blueprint()


@blueprint.function_name("hydration_tables")
@blueprint.service_bus_queue_trigger(arg_name="message", queue_name=TABLES_QUEUE, connection="ServiceBus")
def hydration_tables(message: func.ServiceBusMessage, context: func.Context) -> None:
    """One step of a run, or of one of its tasks."""
    with telemetry.span("hydration_tables", context.trace_context.trace_parent or ""), deliver.unhurried():
        deliver.step(services(), message.get_body())


@blueprint.function_name("hydration_tables_dead")
@blueprint.service_bus_queue_trigger(
    arg_name="message", queue_name=f"{TABLES_QUEUE}/$DeadLetterQueue", connection="ServiceBus"
)
def hydration_tables_dead(message: func.ServiceBusMessage, context: func.Context) -> None:
    """A step that nobody could do: its task or run ends Failed."""
    with telemetry.span("hydration_tables_dead", context.trace_context.trace_parent or ""), deliver.unhurried():
        deliver.dead_step(services(), message.get_body(), message.dead_letter_reason or "no reason is known")
