"""Chunks of rows on their way to Dataverse."""

from __future__ import annotations

import azure.functions as func

from shared import deliver, telemetry
from shared.runs.messages import UPSERTS_QUEUE
from shared.runs.model import Kind
from shared.services import services

blueprint = func.Blueprint()


@blueprint.function_name("hydration_upserts")
@blueprint.service_bus_queue_trigger(arg_name="message", queue_name=UPSERTS_QUEUE, connection="ServiceBus")
def hydration_upserts(message: func.ServiceBusMessage, context: func.Context) -> None:
    """One chunk of rows."""
    with telemetry.span("hydration_upserts", context.trace_context.trace_parent or ""), deliver.unhurried():
        deliver.chunk(services(), message.get_body(), Kind.TABLE)


@blueprint.function_name("hydration_upserts_dead")
@blueprint.service_bus_queue_trigger(
    arg_name="message", queue_name=f"{UPSERTS_QUEUE}/$DeadLetterQueue", connection="ServiceBus"
)
def hydration_upserts_dead(message: func.ServiceBusMessage, context: func.Context) -> None:
    """A chunk of rows that nobody could send: its task ends Failed, its rows in flight are uncertain."""
    with telemetry.span("hydration_upserts_dead", context.trace_context.trace_parent or ""), deliver.unhurried():
        deliver.dead_chunk(services(), message.get_body(), message.dead_letter_reason or "no reason is known")
