"""A call whose rows look like those of the call before is read another way: nothing else is other about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.dataverse import payload, schema
from local.dataverse.errors import DataverseError
from local.dataverse.metadata import Table
from local.dataverse.organization import Organization
from local.dataverse.profiles import PROFILES
from local.dataverse.targets import Targets
from tests.support.local_dataverse import column, lookup, table

GUIDS = [f"0f8fad5b-d9cb-469f-a165-70867728950{i}" for i in range(10)]
KIND = "Microsoft.Dynamics.CRM.new_visit"
Setting = tuple[Organization, Table]


@pytest.fixture(scope="module", name="visits")
def _visits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    directory: Path = tmp_path_factory.mktemp("organization")
    organization = Organization("contoso.crm.dynamics.com", directory, PROFILES["instant"])
    columns = [column("new_points", "Integer"), column("new_price", "Decimal", Precision=2)]
    found = schema.create_table(organization, table("new_visit", *columns))
    schema.create_relationship(organization, lookup("new_contact", "new_visit", "contact"))
    yield organization, found
    organization.store.close()


def _row(number: int, **more: Any) -> dict[str, Any]:
    row = {"@odata.type": KIND, "new_visitid": GUIDS[number], "new_name": f"visit {number}", "new_price": 1.25}
    return {**row, "new_contact@odata.bind": f"contacts({GUIDS[number]})", **more}


def _call(*rows: Any, **more: Any) -> bytes:
    return json.dumps({"Targets": rows, **more}).encode()


def _read(visits: Setting, body: bytes) -> tuple[bool, Any]:
    """Whether a call was read at once, and its records or its refusal."""
    try:
        targets = Targets(*visits, body)
        return not targets.bodies, [_shown(record) for record in targets.records()]
    except DataverseError as error:
        return False, error.body()


def _shown(record: payload.Record) -> tuple[str | None, list[str], list[Any]]:
    return record.id, record.shape.names, list(record.values)


def _anew(visits: Setting, body: bytes) -> tuple[bool, Any]:
    visits[1].shapes.clear()
    return _read(visits, body)


def _after_another(visits: Setting, body: bytes) -> tuple[bool, Any]:
    visits[1].shapes.clear()
    _read(visits, _call(_row(8), _row(9)))
    return _read(visits, body)


@pytest.mark.parametrize(
    "body",
    [
        _call(_row(0), _row(1)),
        _call({**_row(0), "@odata.type": "#" + KIND}),
        _call(dict(reversed(_row(0).items()))),
        _call(_row(0, new_price=None), _row(1, new_name="Łódź")),
        b"\xef\xbb\xbf" + _call(_row(0)),
        _call(_row(0)).replace(b"1.25", b"1.2").replace(b'"new_name"', b'"new_name": "twice", "new_name"'),
    ],
    ids=["alike", "type with #", "another order", "null", "byte order mark", "a name twice"],
)
def test_rows_like_those_of_the_last_call_are_read_at_once_and_alike(visits: Setting, body: bytes) -> None:
    _, expected = _anew(visits, body)
    at_once, found = _after_another(visits, body)

    assert at_once
    by_column = [dict(zip(names, values, strict=True)) for _, names, values in found]
    assert by_column == [dict(zip(names, values, strict=True)) for _, names, values in expected]
    assert [row_id for row_id, _, _ in found] == [row_id for row_id, _, _ in expected]


@pytest.mark.parametrize(
    "body",
    [
        _call(),
        _call(5),
        _call(_row(0), None),
        _call(_row(0), {}),
        _call(_row(0), extra=1),
        _call(_row(0), **{"@odata.context": "x"}),
        _call(_row(0), _row(1, new_points=1)),
        _call(_row(0), {name: value for name, value in _row(1).items() if name != "new_name"}),
        _call(_row(0, **{"@odata.type": "Microsoft.Dynamics.CRM.contact"})),
        _call(_row(0, **{"@odata.type": None})),
        _call(_row(0, **{"@odata.id": f"new_visits({GUIDS[0]})"})),
        _call(_row(0), _row(1, new_price=1.255)),
        _call(_row(0), _row(1, new_name=5)),
        _call(_row(0), _row(1, new_visitid=None)),
        _call(_row(0), _row(1, **{"new_contact@odata.bind": f"new_visits({GUIDS[1]})"})),
        _call(_row(0))[:-1],
        b"[]",
        b"\xff",
        b'{"Targets":' + b"[" * 100_000,
        b'{"Targets":[{"new_price":1e99999999999999999999}]}',
    ],
)
def test_whatever_is_unlike_the_last_call_is_read_as_if_it_were_the_first(visits: Setting, body: bytes) -> None:
    expected = _anew(visits, body)

    assert _after_another(visits, body) == expected


def test_a_table_that_changes_forgets_what_calls_looked_like(visits: Setting) -> None:
    organization, visit = visits
    _after_another(visits, _call(_row(0)))
    schema.create_column(organization, visit, column("new_later"))

    at_once, _ = _read(visits, _call(_row(0)))

    assert not at_once


def test_an_annotation_with_a_quotation_mark_is_read_each_time(visits: Setting) -> None:
    body = _call(_row(0, **{'@a"b': 1}))
    assert _anew(visits, body) == _read(visits, body)
