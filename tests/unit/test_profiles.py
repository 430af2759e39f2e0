"""Which profiles rows of other tables may point to."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from shared import profiles
from shared.delta import compare, state
from shared.delta.compare import Policy
from shared.errors import RequirementError
from shared.reading import Reading
from shared.runs import paths
from shared.runs.model import Kind, Run, Task, TaskPhase
from shared.runs.store import Pointer
from shared.services import Services
from shared.settings import Hydration
from shared.tables import rows, sql
from shared.tables.columns import columns
from tests.support import planning
from tests.support.catalogs import ENVIRONMENT, attributes, hydration, snapshot
from tests.support.deltas import entry
from tests.support.staging import table

PROFILE = "CustomerProfile"
RUN = Run("run", ENVIRONMENT, organization_id="org", attempt=2)
PLANNED = Task("run", PROFILE, PROFILE, Kind.TABLE, PROFILE, phase=TaskPhase.PLANNED, attempt="a", round=2)
ELSEWHERE = "state/of/an/earlier/run.parquet"
ONE, TWO, THREE, FOUR = (f"{number}0000000-0000-4000-8000-000000000000" for number in range(1, 5))


@dataclass(frozen=True)
class Blobs:
    """Blobs in a folder."""

    folder: Path
    written: list[str] = field(default_factory=list)

    def upload(self, path: str, file: Path) -> None:
        self.written.append(path)
        shutil.copy(file, self._file(path))

    def download(self, path: str, file: Path) -> None:
        shutil.copy(self._file(path), file)

    def _file(self, path: str) -> Path:
        return self.folder / path.replace("/", "-")


@dataclass(frozen=True)
class Store:
    """The tasks of a run, and where the applied state of the profiles is."""

    found: Sequence[Task] = ()
    path: str = ""

    def tasks(self, run: str) -> Sequence[Task]:
        assert run == RUN.id
        return self.found

    def pointer(self, organization: str, prefix: str, name: str) -> Pointer:
        assert (organization, prefix, name) == ("org", "msdynci", PROFILE)
        return Pointer(path=self.path)


@dataclass(frozen=True)
class OnlyHydration:
    """Of the settings those that this needs."""

    hydration: Hydration


@dataclass(frozen=True)
class Fakes:
    """Of the services those that this needs."""

    blobs: Blobs
    store: Store
    settings: OnlyHydration = field(default_factory=lambda: OnlyHydration(hydration()))


def there(folder: Path, blobs: Blobs, store: Store) -> list[str]:
    """The profiles that rows of another table may point to."""
    services = cast("Services", Fakes(blobs, store))
    with planning.connection() as opened:
        opened.execute(f"SET temp_directory = {sql.text(str(folder))}")
        profiles.define(Reading(opened, services, snapshot([])), RUN, "Prediction")
        return [str(guid) for (guid,) in opened.execute("SELECT id FROM profile ORDER BY id").fetchall()]


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    """What an earlier run wrote holds THREE and FOUR."""
    found = Blobs(tmp_path)
    with planning.connection() as opened:
        file = tmp_path / "earlier"
        listed = f"SELECT unnest(['{THREE}', '{FOUR}'])::UUID AS id, '{entry('x')}'::UUID AS entry, '' AS mark"
        state.save(opened, f"({listed})", file)
        found.upload(ELSEWHERE, file)
    return found


def publish(folder: Path, blobs: Blobs, customers: Sequence[tuple[str, str]], known: Sequence[str] = ()) -> None:
    """Plan profiles with an age each, where Dataverse holds some."""
    configured = hydration()
    with planning.connection() as opened:
        opened.execute("CREATE TABLE state (id UUID, entry UUID, mark VARCHAR)")
        for guid in known:
            opened.execute("INSERT INTO state VALUES (?, ?, '')", [guid, entry("x")])
        table(opened, "customer", ("CustomerId", "Age"), *customers)
        wanted = columns(PROFILE, configured, attributes("CustomerId", "Age:int64"))
        compare.stage(opened, rows.profile(wanted, configured), Policy())
        services = cast("Services", Fakes(blobs, Store()))
        profiles.publish(services, opened, folder, PLANNED, RUN)


def test_the_profiles_of_a_plan_are_the_valid_ones_and_those_that_were_written_before(
    tmp_path: Path, blobs: Blobs
) -> None:
    publish(tmp_path, blobs, [(ONE, "1"), (TWO, "none"), (THREE, "none")], known=[THREE, FOUR])
    assert blobs.written[1:] == [paths.profiles(paths.plan(ENVIRONMENT, PLANNED, "a"))]
    assert there(tmp_path, blobs, Store([PLANNED], ELSEWHERE)) == [ONE, THREE]


@pytest.mark.parametrize(
    "tasks",
    [
        [],
        [replace(PLANNED, phase=TaskPhase.ENDED)],
        [replace(PLANNED, round=1)],
        [replace(PLANNED, subject="Prediction", key="Prediction")],
        [replace(PLANNED, kind=Kind.LINK)],
    ],
)
def test_without_a_plan_of_this_round_the_profiles_are_those_of_earlier_runs(
    tmp_path: Path, blobs: Blobs, tasks: list[Task]
) -> None:
    publish(tmp_path, blobs, [(ONE, "1")])
    assert there(tmp_path, blobs, Store(tasks, ELSEWHERE)) == [THREE, FOUR]


def test_the_plan_of_this_round_counts_beside_one_of_an_earlier_round(tmp_path: Path, blobs: Blobs) -> None:
    publish(tmp_path, blobs, [(ONE, "1")])
    assert there(tmp_path, blobs, Store([replace(PLANNED, round=1, attempt="old"), PLANNED], ELSEWHERE)) == [ONE]


def test_a_plan_without_any_profile_leaves_none(tmp_path: Path, blobs: Blobs) -> None:
    publish(tmp_path, blobs, [])
    assert there(tmp_path, blobs, Store([PLANNED], ELSEWHERE)) == []


def test_where_there_never_was_a_profile_the_task_is_skipped(tmp_path: Path, blobs: Blobs) -> None:
    with pytest.raises(RequirementError, match="There is no profile that Prediction could point to"):
        there(tmp_path, blobs, Store())
