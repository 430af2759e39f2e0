"""Manual reruns."""

from __future__ import annotations

import json

import azure.functions as func

from handlers.answers import answer, or_error
from shared import lifecycle, telemetry, views
from shared.errors import ConfigurationError
from shared.services import services

blueprint = func.Blueprint()


@blueprint.function_name("request_run")
@blueprint.route(route="runs", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
def request_run(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Ask for a run: {"environment": id, "mode": "incremental" | "full", "tables": [names]}. Answers 202."""

    def work() -> func.HttpResponse:
        try:
            content = json.loads(req.get_body() or b"null")
        except ValueError as fault:
            raise ConfigurationError(f"The body is not JSON: {fault}.") from fault
        run = lifecycle.request_run(services(), *views.read_request(content))
        return answer(views.run_view(run), 202)

    with telemetry.span("request_run", context.trace_context.trace_parent or ""):
        return or_error(work)
