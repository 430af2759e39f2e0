"""What people and programs can see: runs as JSON, the status page, health."""

from __future__ import annotations

import azure.functions as func

from handlers.answers import answer, or_error
from shared import pause, reports, views
from shared.errors import ConfigurationError, HydrationError
from shared.page import status
from shared.services import services

blueprint = func.Blueprint()

_RUNS_ON_PAGE = 10
_MOST_RUNS = 500


@blueprint.function_name("list_runs")
@blueprint.route(route="runs", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
def list_runs(req: func.HttpRequest) -> func.HttpResponse:
    """The newest runs: of one environment with ?environment=, at most ?limit= of them (50)."""

    def work() -> func.HttpResponse:
        limit = req.params.get("limit", "50")
        if not limit.isdecimal() or not 1 <= int(limit) <= _MOST_RUNS:
            raise ConfigurationError(f"limit must be a number from 1 to {_MOST_RUNS}.")
        runs = services().store.runs(req.params.get("environment"), limit=int(limit))
        return answer({"runs": views.runs_view(services(), runs)})

    return or_error(work)


@blueprint.function_name("get_run")
@blueprint.route(route="runs/{id}", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
def get_run(req: func.HttpRequest) -> func.HttpResponse:
    """One run with its tasks."""

    def work() -> func.HttpResponse:
        run = views.find_run(services(), req.route_params["id"])
        return answer(views.run_with_tasks(services(), run))

    return or_error(work)


@blueprint.function_name("get_rejects")
@blueprint.route(route="runs/{id}/rejects/{task}", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
def get_rejects(req: func.HttpRequest) -> func.HttpResponse:
    """The rejects of one task, as a CSV file. The task is named by its key."""

    def work() -> func.HttpResponse:
        run, task = req.route_params["id"], req.route_params["task"]
        content = reports.rejects(services(), run, task)
        disposition = f'attachment; filename="{reports.file_name(run, task)}"'
        headers = {"Content-Disposition": disposition, "X-Content-Type-Options": "nosniff"}
        return func.HttpResponse(content, mimetype="text/csv", charset="utf-8", headers=headers)

    return or_error(work)


@blueprint.function_name("show_status")
@blueprint.route(route="status", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
def show_status(req: func.HttpRequest) -> func.HttpResponse:
    """The status page."""

    def work() -> func.HttpResponse:
        runs = services().store.runs(req.params.get("environment"), limit=_RUNS_ON_PAGE)
        wanted = req.params.get("environment")
        shown = [environment for environment in pause.known(services()) if wanted in {None, environment.id}]
        paused = [pause.sentence(environment, named=True) for environment in shown]
        told = [views.run_with_tasks(services(), run) for run in runs]
        page = status.render(told, [*filter(None, paused)], code=req.params.get("code", ""))
        headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}  # its links may hold the key
        return func.HttpResponse(page, mimetype="text/html", charset="utf-8", headers=headers)

    return or_error(work)


@blueprint.function_name("health")
@blueprint.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def health(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001  the worker wants it
    """Whether the settings are sound and the status storage answers. Says nothing else: anybody may ask."""
    try:
        services().store.environments()
    except HydrationError:
        return answer({"status": "unhealthy"}, 503)
    return answer({"status": "healthy"})
