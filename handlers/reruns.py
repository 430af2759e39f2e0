"""Manual reruns, and carrying out what a run held."""

from __future__ import annotations

import azure.functions as func

from handlers.answers import answer, body, or_error
from shared import confirm, lifecycle, telemetry, views
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
