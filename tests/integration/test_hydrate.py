"""`python -m local hydrate` as a user runs it, on lakes that nothing else in the project has seen."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import oracle
from tests.support.dataverse import LINK, assert_equal, exported
from tests.support.lakes import Entity, write_lake

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = "a1b2c3d4-0000-4000-8000-00000000beef"
CONFIG = f"""\
[environments."{ENVIRONMENT}"]
dataverse_url = "https://fabrikam.crm4.dynamics.com"

[data_sources."Sales CRM"]
dataverse = "https://fabrikam.crm4.dynamics.com"

[data_sources."Sales CRM".tables.contact]
primary_key = "contactid"

[data_sources.Web.tables.Visitors]
primary_key = "VisitorId"
"""
SOURCES = [
    oracle.Source("Sales CRM", "contact", "Sales CRM_contact_contactid", "contact"),
    oracle.Source("Web", "Visitors", "Web_Visitors_VisitorId"),
]
CONTACTS = [f"0c0ffee0-0000-4000-8000-00000000000{number}" for number in range(6)]
ATTRIBUTES = (
    "CustomerId",
    "Full Name",
    "Remark",
    "Birth Date:date",
    "Points:int64",
    "Share:double",
    "Active:boolean",
    "Seen:dateTime",
    *(source.key_column for source in SOURCES),
)
ROWS = [
    (
        '"{5CDBABBF-1F80-4BF9-9956-AE64A69DCC2E}","Zoë, the ""first""","line one\nline two\r\nline three",'
        f"1980-02-29,12,0.5,true,2026-01-02T03:04:05Z,{CONTACTS[0].upper()},v1; v2\r\n"
    ),
    f"DD6B4BD2D4D34F67A74BFD87554990AF,Łukasz,,,,,,,{CONTACTS[1]};{CONTACTS[2]},\r\n",
    f'customer-3,美咲,"",1970-01-01,-7,1e3,false,2026-12-31T23:59:59Z,{{{CONTACTS[3]}}},\r\n',
    'customer 4,"  spaces  ",plain,,2147483647,-0.25,true,,,v3\r\n',
]


@dataclass(frozen=True)
class Outcome:
    """What the command left behind."""

    code: int
    printed: str
    snapshots: list[dict[str, Any]]
    content: Path

    def task(self, number: int, name: str) -> dict[str, Any]:
        return next(task for task in self.snapshots[number]["tasks"] if task["name"] == name)


def hydrate(folder: Path, lakes: Sequence[Path]) -> Outcome:
    """Run the command with the contacts that exist beforehand."""
    (folder / "rows").mkdir()
    rows = "".join(f"{key},Contact {number}\n" for number, key in enumerate(CONTACTS))
    (folder / "rows" / "contact.csv").write_text(f"contactid,firstname\n{rows}", encoding="utf-8-sig")
    (folder / "hydration.toml").write_text(CONFIG, encoding="utf-8")
    places = {"--config": "hydration.toml", "--dataverse": "rows", "--json": "result.json", "--export": "content"}
    options = [part for name, place in places.items() for part in (name, str(folder / place))]
    command = [sys.executable, "-m", "local", "hydrate", *map(str, lakes), *options]
    done = subprocess.run(  # noqa: S603 - the command under test
        command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    snapshots = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return Outcome(done.returncode, done.stdout + done.stderr, snapshots, folder / "content")


def customers(*partitions: str) -> Entity:
    return Entity("Customer", ATTRIBUTES, {f"part{number}.csv": text for number, text in enumerate(partitions)})


@pytest.fixture(scope="module")
def tricky(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Path, Path]:
    """One snapshot that is well but hard to read, the same again, and one from which a customer is gone."""
    folder = tmp_path_factory.mktemp("tricky")
    first = write_lake(folder / "first", ENVIRONMENT, customers("".join(ROWS[:2]), "".join(ROWS[2:])), bom=True)
    last = write_lake(folder / "last", ENVIRONMENT, customers("".join(ROWS[1:])), bom=True)
    return hydrate(folder, [first, first, last]), first, last


def test_well_but_tricky_files_end_successful(tricky: tuple[Outcome, Path, Path]) -> None:
    outcome, _, last = tricky
    assert outcome.code == 0, outcome.printed
    assert [each["run"]["status"] for each in outcome.snapshots] == ["Successful"] * 3
    assert_equal(outcome.content, oracle.expected(last, ENVIRONMENT, SOURCES))


def test_the_json_has_the_documented_form(tricky: tuple[Outcome, Path, Path]) -> None:
    outcome, first, last = tricky
    assert [each["snapshot"] for each in outcome.snapshots] == [str(first), str(first), str(last)]
    counts = {"created", "changed", "unchanged", "removed", "rejected", "missing", "held", "writes"}
    for each in outcome.snapshots:
        assert set(each["run"]) == {"id", "status", "detail"}
        assert {task["name"].rpartition(" ")[2] for task in each["tasks"]} >= {
            "CustomerProfile",
            "AlternateKey",
            "contact",
        }
        assert all(set(task) == {"name", "status", "detail"} | counts for task in each["tasks"])


def test_counts_follow_the_snapshots(tricky: tuple[Outcome, Path, Path]) -> None:
    outcome = tricky[0]
    link = "CustomerId Backstamping Hydration: contact"
    told = {
        name: [
            tuple(outcome.task(number, name)[count] for count in ("created", "removed", "writes"))
            for number in range(3)
        ]
        for name in ("CustomerProfile", "AlternateKey", link)
    }
    assert told == {
        "CustomerProfile": [(4, 0, 4), (0, 0, 0), (0, 1, 1)],
        "AlternateKey": [(7, 0, 7), (0, 0, 0), (0, 3, 3)],
        link: [(4, 0, 4), (0, 0, 0), (0, 1, 1)],
    }


def test_untouched_rows_are_exported_too(tricky: tuple[Outcome, Path, Path]) -> None:
    contacts = exported(tricky[0].content, "contact", "contactid")
    assert contacts.keys() == set(CONTACTS)
    assert contacts[CONTACTS[5]]["firstname"] == "Contact 5"
    assert not contacts[CONTACTS[0]].get(LINK)


FAULTS = ("truncated", "missing", "outside", "columns")
NAMELESS, UNSPELLED = len(FAULTS) + 1, len(FAULTS) + 2
"""The landings after them: a profile without an id, and profiles whose id has another name. No other tables."""


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Path]:
    """A snapshot that is well, then one for every fault of its profiles, each with a sound table beside them.

    Then two whose faults are of everything that is made of the profiles.
    """
    folder = tmp_path_factory.mktemp("faulty")
    first = write_lake(folder / "well", ENVIRONMENT, customers("".join(ROWS)))
    lakes = [_beside(first, 0)]
    for number, fault in enumerate(FAULTS, start=1):
        entity = customers("".join(ROWS[:2]), "".join(ROWS[2:]))
        if fault == "truncated":
            entity = customers("".join(ROWS[:2]), ROWS[2] + ROWS[3][:25])
        if fault == "outside":
            entity.locations = {"part1.csv": "https://lake.dfs.core.windows.net/customerinsights/ci_other/part1.csv"}
        if fault == "columns":
            entity = customers("".join(ROWS[:2]) + "too,few\r\n")
        lake = write_lake(folder / fault, ENVIRONMENT, entity)
        if fault == "missing":
            (lake / f"ci_{ENVIRONMENT}" / "unification" / "Customer" / "part1.csv").unlink()
        lakes.append(_beside(lake, number))
    lakes.append(write_lake(folder / "nameless", ENVIRONMENT, customers(ROWS[0] + ",Nobody,,,,,,,,\r\n")))
    unspelled = Entity("Customer", ("customerid", "Sales CRM_contact_contactid"), {"1.csv": f"a,{CONTACTS[0]}\n"})
    lakes.append(write_lake(folder / "unspelled", ENVIRONMENT, unspelled))
    return hydrate(folder, lakes), first


def _beside(lake: Path, number: int) -> Path:
    """A sound AlternateKey table in a process folder of its own; it grows by a row with every snapshot."""
    rows = "".join(f"Web,Visitors,w{each},customer-3\n" for each in range(number + 1))
    keys = Entity("AlternateKey", ("DataSourceName", "EntityName", "AlternateValue", "CustomerId"), {"keys.csv": rows})
    unknown = Entity("BrandNewOutput", ("Id",), {"new.csv": "1\n"})
    return write_lake(lake, ENVIRONMENT, keys, unknown, process="keys")


def test_a_fault_of_one_table_is_told_and_nothing_of_it_is_touched(faulty: tuple[Outcome, Path]) -> None:
    outcome, first = faulty
    assert outcome.code == 1, outcome.printed
    assert outcome.snapshots[0]["run"]["status"] == "Successful", outcome.printed
    for number, fault in enumerate(FAULTS, start=1):
        assert outcome.snapshots[number]["run"]["status"] == "Failed", fault
        told = json.dumps(outcome.snapshots[number], ensure_ascii=False)
        assert "Customer" in told, fault
        profiles = [task for task in outcome.snapshots[number]["tasks"] if task["name"] == "CustomerProfile"]
        assert all((task["writes"], task["removed"]) == (0, 0) and task["detail"] for task in profiles), fault
    rows = exported(outcome.content, "msdynci_customerprofile", "msdynci_customerprofileid")
    assert rows.keys() == oracle.expected(first, ENVIRONMENT, SOURCES).profiles.keys()


def test_the_other_tables_are_served(faulty: tuple[Outcome, Path]) -> None:
    outcome = faulty[0]
    for number, fault in enumerate(FAULTS, start=1):
        task = outcome.task(number, "AlternateKey")
        assert (task["status"], task["created"]) == ("Successful", 1), fault
    rows = exported(outcome.content, "msdynci_alternatekey", "msdynci_alternatekeyid")
    assert len(rows) == len(FAULTS) + 1


MADE_OF_PROFILES = ("CustomerProfile", "AlternateKey", "CustomerId Backstamping Hydration: contact")


def test_a_profile_without_an_id_takes_no_keys_and_no_links_from_others(faulty: tuple[Outcome, Path]) -> None:
    """The row could be any of those that are missing: nothing that is made of the same rows may be removed."""
    for name in MADE_OF_PROFILES:
        task = faulty[0].task(NAMELESS, name)
        assert (task["status"], task["writes"], task["removed"]) == ("Failed", 0, 0), task


def test_an_entity_without_the_id_fails_all_that_is_made_of_it(faulty: tuple[Outcome, Path]) -> None:
    for name in MADE_OF_PROFILES:
        task = faulty[0].task(UNSPELLED, name)
        assert (task["status"], task["writes"], task["removed"]) == ("Failed", 0, 0), task
        assert "no attribute spelled CustomerId" in task["detail"]
