"""New unification output in the lake."""

from __future__ import annotations

import logging

import azure.functions as func

from shared import deliver, lifecycle, telemetry
from shared.lake.snapshot import environment_of, is_manifest
from shared.services import services

blueprint = func.Blueprint()
_log = logging.getLogger(__name__)


@blueprint.function_name("unification_output_landed")
@blueprint.blob_trigger(
    arg_name="blob",
    path="%LAKE_CONTAINER%/{name}",
    connection="LakeStorage",
    source=func.BlobSource.EVENT_GRID,
)
def unification_output_landed(blob: func.InputStream, context: func.Context) -> None:
    """A blob was written. Acts on `ci_<environment>/.../model.json` and `...manifest.cdm.json` only.

    Event Grid enforces neither the path's pattern nor that the event is news: the name is checked here, and the lake
    is looked at as it is now. An empty blob is a file that was created and not yet written.
    The host tries five times; what it gives up then is found by the sweep.
    """
    with telemetry.span("unification_output_landed", context.trace_context.trace_parent or ""), deliver.unhurried():
        path = (blob.name or "").partition("/")[2]
        environment = environment_of(path)
        if environment is None or not is_manifest(path):
            return
        current = services().lake.file(path)
        if current is None or not current.length:
            _log.info("event.early", extra={"environment": environment})
            return
        found = lifecycle.look(services(), environment)
        _log.info("event.seen", extra={"environment": environment, "found": found})
