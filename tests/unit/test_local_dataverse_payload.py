"""Bodies of a bulk call, read together, mean what each of them means alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.dataverse import payload, schema, values
from local.dataverse.errors import DataverseError
from local.dataverse.metadata import Table
from local.dataverse.organization import Organization
from local.dataverse.profiles import PROFILES
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


def _alone(visits: Setting, bodies: list[dict[str, Any]]) -> list[tuple[str | None, list[str], list[Any]]]:
    return [_shown(payload.read(*visits, body)) for body in bodies]


def _together(visits: Setting, bodies: list[dict[str, Any]]) -> list[tuple[str | None, list[str], list[Any]]]:
    return [_shown(record) for record in payload.read_all(*visits, bodies)]


def _shown(record: payload.Record) -> tuple[str | None, list[str], list[Any]]:
    return record.id, record.shape.names, list(record.values)


def _body(number: int, **more: Any) -> dict[str, Any]:
    return {"@odata.type": KIND, "new_visitid": GUIDS[number].upper(), "new_name": f"visit {number}", **more}


@pytest.mark.parametrize(
    "bodies",
    [
        [_body(i, new_points=i) for i in range(5)],
        [_body(1, new_points=1), _body(2), _body(3, new_points=None), _body(4)],
        [_body(i, **{"new_contact@odata.bind": f"contacts({GUIDS[i]})" if i else None}) for i in range(3)],
        [_body(i, **{"new_contact@odata.bind": f"contacts(contactid={GUIDS[i]})"}) for i in range(3)],
        [{"new_name": "no key"}, {"new_name": "no key either"}],
        [{"new_visitid": GUIDS[0]}, {"new_visitid": GUIDS[1]}],
        [{}, {}],
        [],
    ],
    ids=["one shape", "several shapes", "lookups", "lookups by key", "no keys", "only keys", "nothing", "no rows"],
)
def test_rows_read_together_are_the_rows_read_alone(visits: Setting, bodies: list[dict[str, Any]]) -> None:
    assert _together(visits, bodies) == _alone(visits, bodies)


@pytest.mark.parametrize(
    "faulty",
    [
        {"new_points": "many"},
        {"new_points": 2**31},
        {"new_name": "x" * 101},
        {"new_nothing": 1},
        {"new_visitid": None},
        {"new_visitid": "row 1"},
        {"new_contact@odata.bind": "new_visits(1)"},
    ],
    ids=str,
)
def test_the_first_row_at_fault_is_the_one_that_is_reported(visits: Setting, faulty: dict[str, Any]) -> None:
    bodies = [_body(0, new_points=0), {**_body(1), **faulty}, _body(2, new_points=1.5), {"new_price": "dear"}]
    with pytest.raises(DataverseError) as alone:
        _alone(visits, bodies)

    with pytest.raises(DataverseError) as together:
        _together(visits, bodies)

    assert together.value.body() == alone.value.body()


@pytest.mark.parametrize(
    "body", [b"{", b'{"a":NaN}', b'{"a":1e99999999999999999999}', b'"\xff"', b'{"a":"\\ud800"}', b"[" * 100_000]
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(DataverseError) as refused:
        payload.parse(body, "contacts")

    assert (refused.value.status, refused.value.code) == (400, "0x80048d19")


def test_numbers_keep_their_digits_and_a_byte_order_mark_is_skipped() -> None:
    found = payload.parse(b'\xef\xbb\xbf{"exact": 12345678901.1234567890, "big": 123456789012345678901}', "contacts")

    assert (str(found["exact"]), found["big"]) == ("12345678901.1234567890", 123456789012345678901)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00Z"),
        ("2024-05-01T10:00:00+02:00", "2024-05-01T08:00:00Z"),
        ("2024-05-01T10:00:00.25", "2024-05-01T10:00:00.25Z"),
        ("2024-05-01T10:00", "2024-05-01T10:00Z"),
    ],
)
def test_times_are_kept_in_utc_and_those_without_an_offset_are_taken_for_it(given: str, stored: str) -> None:
    assert values.utc(given) == stored
