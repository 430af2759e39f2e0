"""Tables from landing to landing: schema drift, rows without a profile, old rows, formats, tables of others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from local import snapshots
from local.inputs import lake_folder
from local.stack import Stack
from tests.support.dataverse import exported
from tests.support.lakes import Entity, write_lake

ENVIRONMENT = "a1b2c3d4-0000-4000-8000-00000000cafe"
HOST = "tables.crm.dynamics.com"
SETTINGS = snapshots.LANDED_WHOLE | {"HYDRATION_LEASE_SECONDS": "4", "DATAVERSE_TIMEOUT_SECONDS": "3"}
CONFIG = f"""\
[environments."{ENVIRONMENT}"]
dataverse_url = "https://{HOST}"

[tables.UnifiedActivity]
keep_days = 3650
truncate = true
lengths = {{ Title = 10 }}

[tables.SegmentMembership]
entities = ["Segment_*", {{ name = "Loyal", provider = "Marketing", segment = "Loyal ones" }}]
"""
ONE, TWO, NEW = (f"0c0ffee0-0000-4000-8000-00000000000{number}" for number in range(3))
ACTIVITY = ("ActivityId", "CustomerId", "ActivityTimeStamp:dateTime", "Title")
LOOKUP = "_msdynci_lookupfield_customer_value"
CUSTOMER = ("CustomerId", "Name", "Points:int64")


def customers(*rows: str, attributes: tuple[str, ...] = CUSTOMER) -> Entity:
    return Entity("Customer", attributes, {"1.csv": "".join(f"{row}\n" for row in rows)})


def activities(*rows: bytes) -> Entity:
    return Entity("UnifiedActivity", ACTIVITY, {"1.csv": b"".join(row + b"\n" for row in rows)})


PROFILES = (f"{ONE},Ann,1", f"{TWO},Zoë,2")
ROWS = (
    f"a1,{ONE},2026-01-02T03:04:05Z,short".encode(),
    f"a2,{TWO},2026-01-02T03:04:05Z,longer than ten".encode(),
    f"a3,{NEW},2026-01-02T03:04:05Z,no profile".encode(),
    f"a4,{ONE},2001-01-02T03:04:05Z,old".encode(),
    f"a5,{ONE},2026-01-02T03:04:05Z,".encode() + b"\xff\xfe",
)


@dataclass(frozen=True)
class Landed:
    """What one landing led to."""

    run: dict[str, Any]
    content: Path

    def task(self, name: str) -> dict[str, Any]:
        return next(task for task in self.run["tasks"] if task["name"] == name)

    def rows(self, table: str) -> dict[str, dict[str, Any]]:
        return exported(self.content, f"msdynci_{table}", f"msdynci_{table}id")

    def activities(self) -> dict[str, dict[str, Any]]:
        return {row["msdynci_activityid"]: row for row in self.rows("unifiedactivity").values()}


def lakes(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every landing of the story, in its order."""
    segments = [Entity(f"Segment_{name}", ("CustomerId",), {"1.csv": f"{ONE}\n{TWO}\n"}) for name in ("b", "a")]
    loyal = Entity("Loyal", ("CustomerId",), {"1.csv": f"{ONE}\n"})
    delta = Entity("Enrichment_Interests", ("CustomerId", "Interest"), {"1.parquet": "x"})
    story = {
        "first": [customers(*PROFILES), activities(*ROWS)],
        "changed type": [customers(f"{ONE},Ann,many", attributes=("CustomerId", "Name", "Points")), activities(*ROWS)],
        "new and gone": [
            customers(f"{ONE},Ann,a@b.c", f"{NEW},New,", attributes=("CustomerId", "Name", "EMail")),
            activities(*ROWS),
        ],
        "back": [customers(*PROFILES), activities(*ROWS)],
    }
    measures = {"first": f"{ONE},1\n{TWO},2\n", "back": f"{ONE},1\n,2\n"}
    for name, entities in story.items():
        lake = write_lake(folder / name, ENVIRONMENT, *entities)
        if name in measures:
            measure = Entity("Customer_Measure", ("CustomerId", "Visits:int64"), {"1.csv": measures[name]})
            write_lake(lake, ENVIRONMENT, measure, process="measures")
        write_lake(lake, ENVIRONMENT, *segments, loyal, process="segments")
        write_lake(lake, ENVIRONMENT, delta, process="enrichments")
        log = lake / f"ci_{ENVIRONMENT}" / "enrichments" / delta.name / "_delta_log"
        log.mkdir()
        (log / "00000000000000000000.json").write_text("{}")
        prediction = Entity("Prediction_Churn", ("CustomerId", "Score:double"), {"1.csv": f"{ONE},0.5\n"})
        yield name, write_lake(lake, ENVIRONMENT, prediction, process="models")


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Landed]:
    folder = tmp_path_factory.mktemp("story")
    (folder / "hydration.toml").write_text(CONFIG, encoding="utf-8")
    found = {}
    with Stack(folder / "stack", folder / "hydration.toml", settings=SETTINGS, keeps=False) as stack:
        with httpx.Client(base_url=stack.dataverse_url, trust_env=False) as client:
            of_others = {"is_managed": True}
            client.post(f"/local/{HOST}/definitions/msdynci_prediction", json=of_others).raise_for_status()
        for name, lake in lakes(folder / "lakes"):
            run = snapshots.hydrate(stack, lake_folder(lake), Console(width=200))[ENVIRONMENT]
            snapshots.export(stack, HOST, folder / "content" / name)
            found[name] = Landed(run, folder / "content" / name)
    return found


def test_a_row_without_a_profile_is_rejected_and_says_so(landed: dict[str, Landed]) -> None:
    first = landed["first"]
    assert "a3" not in first.activities()
    task = first.task("UnifiedActivity")
    assert (task["status"], task["created"], task["rejected"]) == ("Completed with rejects", 2, 2)


def test_text_that_is_no_utf8_rejects_its_row_and_no_other(landed: dict[str, Landed]) -> None:
    assert set(landed["first"].activities()) == {"a1", "a2"}


def test_old_activities_are_not_hydrated(landed: dict[str, Landed]) -> None:
    assert "a4" not in landed["first"].activities()
    assert "1 row left out for being older than keep_days." in landed["first"].task("UnifiedActivity")["detail"]


def test_texts_are_cut_where_that_is_asked_for(landed: dict[str, Landed]) -> None:
    assert landed["first"].activities()["a2"]["msdynci_title"] == "longer tha"


def test_every_row_points_to_its_profile(landed: dict[str, Landed]) -> None:
    rows = landed["first"].activities()
    assert {name: row[LOOKUP] for name, row in rows.items()} == {"a1": ONE, "a2": TWO}


def test_segments_of_several_entities_are_one_row_a_provider(landed: dict[str, Landed]) -> None:
    rows = landed["first"].rows("segmentmembership").values()
    found = {(row[LOOKUP], row["msdynci_segmentprovider"]): json.loads(row["msdynci_segments"]) for row in rows}
    assert found == {
        (ONE, "Audience insights"): ["a", "b"],
        (TWO, "Audience insights"): ["a", "b"],
        (ONE, "Marketing"): ["Loyal ones"],
    }


def test_a_format_that_is_not_read_is_skipped_with_the_reason(landed: dict[str, Landed]) -> None:
    task = landed["first"].task("Enrichment")
    assert task["status"] == "Skipped"
    assert "Delta" in task["detail"]


def test_a_table_of_others_is_skipped_with_the_reason(landed: dict[str, Landed]) -> None:
    task = landed["first"].task("Prediction")
    assert (task["status"], task["writes"]) == ("Skipped", 0)
    assert "managed" in task["detail"]


def test_a_type_that_changed_fails_its_table_and_the_others_go_on(landed: dict[str, Landed]) -> None:
    second = landed["changed type"]
    task = second.task("CustomerProfile")
    assert task["status"] == "Failed"
    assert "msdynci_points" in task["detail"]
    assert "Integer" in task["detail"]
    assert "text" in task["detail"]
    assert second.task("SegmentMembership")["status"] == "Successful"
    assert second.rows("customerprofile") == landed["first"].rows("customerprofile")
    assert second.activities() == landed["first"].activities()


def test_a_new_attribute_becomes_a_column_and_one_that_is_gone_is_kept(landed: dict[str, Landed]) -> None:
    third = landed["new and gone"]
    task = third.task("CustomerProfile")
    assert task["status"] == "Successful", task
    assert "Column msdynci_email of msdynci_customerprofile was created." in task["detail"]
    assert "leaves it out: msdynci_points." in task["detail"]
    row = third.rows("customerprofile")[ONE]
    assert (row["msdynci_email"], row["msdynci_points"]) == ("a@b.c", 1)


def test_a_profile_that_came_takes_its_rows_and_one_that_went_leaves_them_alone(landed: dict[str, Landed]) -> None:
    """Deleting a profile empties the lookups that point to it."""
    third = landed["new and gone"]
    assert third.rows("customerprofile").keys() == {ONE, NEW}
    assert {name: row.get(LOOKUP) for name, row in third.activities().items()} == {"a1": ONE, "a2": None, "a3": NEW}


def test_a_profile_that_comes_back_has_its_rows_again(landed: dict[str, Landed]) -> None:
    last = landed["back"]
    assert last.rows("customerprofile").keys() == {ONE, TWO}
    assert last.activities()["a2"][LOOKUP] == TWO
    assert last.activities()["a3"].get(LOOKUP) is None


def test_a_row_without_its_id_is_rejected_and_holds_what_it_may_be(landed: dict[str, Landed]) -> None:
    task = landed["back"].task("CustomerMeasure")
    assert (task["status"], task["rejected"], task["held"]) == ("Completed with rejects", 1, 1)
    assert "1 row without a key may be any of them" in task["detail"]
    assert landed["back"].rows("customermeasure").keys() == {ONE, TWO}
