"""Manual reruns, carrying out what a run held, and canceling runs."""

from __future__ import annotations

import azure.functions as func

from handlers.answers import answer, body, or_error
from shared import cancel, confirm, lifecycle, pause, telemetry, views
from shared.services import services

blueprint = func.Blueprint()


@blueprint.function_name("request_run")
@blueprint.route(route="runs", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
def request_run(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Ask for a run: {"environment": id, "mode": "full", "tables": [names]}. Answers 202 with the run."""

    def work() -> func.HttpResponse:
        run = lifecycle.request_run(services(), *views.read_request(body(req)))
        return answer(views.runs_view(services(), [run])[0], 202)

    with telemetry.span("request_run", context.trace_context.trace_parent or ""):
        return or_error(work)


@blueprint.function_name("confirm_run")
@blueprint.route(route="runs/{id}/confirm", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
def confirm_run(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Carry out what a run held. Answers 202 with the run that does it."""

    def work() -> func.HttpResponse:
        run = confirm.confirm(services(), req.route_params["id"])
        return answer(views.runs_view(services(), [run])[0], 202)

    with telemetry.span("confirm_run", context.trace_context.trace_parent or ""):
        return or_error(work)


@blueprint.function_name("cancel_run")
@blueprint.route(route="runs/{id}/cancel", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
def cancel_run(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Send nothing more of a run: {"reason": "..."}, or no body. Answers 202 with the run, which ends soon."""

    def work() -> func.HttpResponse:
        reason = pause.read_reason(body(req))
        run = cancel.cancel(services(), req.route_params["id"], reason)
        return answer(views.runs_view(services(), [run])[0], 202)

    with telemetry.span("cancel_run", context.trace_context.trace_parent or ""):
        return or_error(work)
