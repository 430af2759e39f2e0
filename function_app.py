"""The Functions app: registers blueprints, nothing else."""

from __future__ import annotations

import azure.functions as func

from handlers import backstamps, environments, reconciliation, reruns, status, tables, unification, upserts
from shared import telemetry

telemetry.configure()

app = func.FunctionApp()
for module in (unification, tables, upserts, backstamps, reconciliation, reruns, environments, status):
    app.register_functions(module.blueprint)
