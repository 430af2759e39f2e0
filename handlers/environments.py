"""Environments: what they are bound to; pausing and resuming them."""

from __future__ import annotations

import azure.functions as func

from handlers.answers import answer, body, or_error
from shared import pause, telemetry, views
from shared.services import services

blueprint = func.Blueprint()


@blueprint.function_name("list_environments")
@blueprint.route(route="environments", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
def list_environments(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001  the worker wants it
    """Every environment that is configured or was seen."""

    def work() -> func.HttpResponse:
        shown = [views.environment_view(services(), environment) for environment in pause.known(services())]
        return answer({"environments": shown})

    return or_error(work)


@blueprint.function_name("get_environment")
@blueprint.route(route="environments/{id}", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
def get_environment(req: func.HttpRequest) -> func.HttpResponse:
    """One environment."""
    return or_error(lambda: answer(views.environment_view(services(), pause.find(services(), req.route_params["id"]))))


@blueprint.function_name("pause_environment")
@blueprint.route(route="environments/{id}/pause", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
def pause_environment(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Begin nothing more in an environment: {"reason": "..."}, or no body. Answers with the environment."""

    def work() -> func.HttpResponse:
        reason = pause.read_reason(body(req))
        return answer(views.environment_view(services(), pause.pause(services(), req.route_params["id"], reason)))

    with telemetry.span("pause_environment", context.trace_context.trace_parent or ""):
        return or_error(work)


@blueprint.function_name("resume_environment")
@blueprint.route(route="environments/{id}/resume", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
def resume_environment(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Go on in an environment. Answers with the environment."""

    def work() -> func.HttpResponse:
        return answer(views.environment_view(services(), pause.resume(services(), req.route_params["id"])))

    with telemetry.span("resume_environment", context.trace_context.trace_parent or ""):
        return or_error(work)
