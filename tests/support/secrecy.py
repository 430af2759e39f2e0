"""Whether values of customers stay where they belong: not in logs, in the tables of runs or in messages."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from shared.runs.entities import key
from shared.runs.messages import encode
from shared.services import Services
from tests.support.workers import Workshop

MARKER = "@example.com"
"""Stands in a value of nearly every person of the sample, in their profile and in their contact."""


class _Ear(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.heard: list[str] = []
        self.records = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.records += 1
        if MARKER in record.getMessage() or MARKER in str(vars(record)):
            self.heard.append(f"{record.name}: {record.getMessage()}")


@contextmanager
def kept_secret() -> Iterator[None]:
    """Whatever the app logs meanwhile, at any level, holds no customer's value."""
    ear, app = _Ear(), logging.getLogger("shared")
    before = app.level
    app.setLevel(logging.DEBUG)
    logging.getLogger().addHandler(ear)
    try:
        yield
    finally:
        app.setLevel(before)
        logging.getLogger().removeHandler(ear)
    assert ear.records, "the app logs what it does"
    assert not ear.heard, ear.heard[:3]


def rows(services: Services, environment: str) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Everything that the tables of runs hold of an environment, by table, partition and row."""
    store = services.store
    runs = [run.id for run in store.runs(environment)]
    tasks = [task for run in runs for task in store.tasks(run)]
    wanted = [(store._runs, key(environment))]
    wanted += [(store._tasks, key(run)) for run in runs]
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for table, partition in wanted:
        found |= _listed(table._client, "PartitionKey eq @low", {"low": partition})
    for run in runs if tasks else ():
        borders = {"low": key(run), "high": f"{key(run)}~"}
        found |= _listed(store._chunks._client, "PartitionKey ge @low and PartitionKey lt @high", borders)
    return found


def _listed(client: Any, condition: str, values: Mapping[str, str]) -> dict[tuple[str, str, str], dict[str, Any]]:
    found = client.query_entities(condition, parameters=dict(values))
    return {(client.table_name, row["PartitionKey"], row["RowKey"]): dict(row) for row in found}


def assert_kept(workshop: Workshop, services: Services) -> None:
    """No row of a table and no message holds a customer's value."""
    found = rows(services, workshop.tenant.environment)
    assert len({table for table, *_ in found}) == 3, "runs, tasks and chunks"
    for place, row in found.items():
        assert MARKER not in str(row), place
    for letter in workshop.bag.known:
        assert letter.message is None or MARKER.encode() not in encode(letter.message), letter.message
