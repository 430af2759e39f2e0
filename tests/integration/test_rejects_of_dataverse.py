"""A row that Dataverse refuses is named by its source key and column, and travels apart until it is taken."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping

import pytest

from local.stack import Stack
from shared import reports
from tests.support.lakes import Entity
from tests.support.links import KEYS, PROFILE, Home, Outcome, person, row, street

COLUMN = f"EntityDefinitions(LogicalName='{PROFILE}')/Attributes(LogicalName='msdynci_points')"
MOST = 1_000
FEW = {number: number for number in range(3)}


@pytest.fixture(scope="module", name="home")
def _home(bare_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One environment: what a test leaves is where the next one begins."""
    with street(bare_stack, tmp_path_factory.mktemp("refused"), 1) as found:
        home = found.home()
        home.seed("contact", [row(0)])
        first = land(home, FEW)
        assert first.told["status"] == "Successful", first.told
        takes(home, MOST)
        yield home


def land(home: Home, points: Mapping[int, int]) -> Outcome:
    people = "".join(f"{person(number)},{count}\n" for number, count in points.items())
    keys = f"{home.data_source},contact,{row(0)},{person(0)}\n"
    home._put(
        Entity("Customer", ("CustomerId", "Points:int64"), {"1.csv": people}),
        Entity("AlternateKey", KEYS, {"1.csv": keys}),
    )
    return home.observed(home.workshop.announce)


def takes(home: Home, most: int) -> None:
    """Somebody lets the column take no larger number. The app reads how long texts may be, and no more."""
    definition = home.api.get(COLUMN)
    home.api.expect(204, "PUT", COLUMN, json=definition | {"MaxValue": most})


def refused(home: Home, run: Outcome) -> list[dict[str, str]]:
    content = reports.rejects(home.services, run.told["id"], "CustomerProfile").decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(content, newline="")))


def chunks(home: Home, run: Outcome) -> list[int]:
    """How many rows each chunk had."""
    store = home.services.store
    return [chunk.rows for chunk in store.chunks(store.task(run.told["id"], "CustomerProfile"))]


def test_it_is_named_by_its_source_key_and_its_column(home: Home) -> None:
    outcome = land(home, FEW | {3: 3, 9: MOST + 1})
    assert outcome.counts("CustomerProfile") == {"created": 1, "unchanged": 3, "rejected": 1, "writes": 1}
    [line] = refused(home, outcome)
    assert (line["source_key"], line["guid"], line["column"]) == (person(9), person(9), "msdynci_points")
    assert line["code"].startswith("0x")
    assert chunks(home, outcome) == [2]


def test_until_it_is_taken_it_travels_apart(home: Home) -> None:
    again = land(home, FEW | {3: 3, 4: 4, 5: 5, 9: MOST + 2})
    assert again.counts("CustomerProfile") == {"created": 2, "unchanged": 4, "rejected": 1, "writes": 2}
    assert chunks(home, again) == [2, 1]
    takes(home, 2 * MOST)
    last = land(home, FEW | {3: 3, 4: 4, 5: 5, 6: 6, 9: MOST + 2})
    assert last.counts("CustomerProfile") == {"created": 2, "unchanged": 6, "writes": 2}
    assert chunks(home, last) == [1, 1]
    assert chunks(home, land(home, FEW | {3: 3, 4: 4, 5: 5, 6: 7, 9: 9})) == [2], "it is a row like others"
