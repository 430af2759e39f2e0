"""Which profiles rows of other tables may point to."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from shared import profiles
from shared.delta import compare, state
from shared.delta.compare import BRAKE_ROWS, Delta, Policy
from shared.errors import RequirementError
from shared.reading import Reading
from shared.runs import paths
from shared.runs.model import Kind, Run, Task, TaskPhase
from shared.runs.rows import Pointer
from shared.services import Services
from shared.settings import Hydration
from shared.tables import rows, sql
from shared.tables.columns import columns
from tests.support import planning
from tests.support.catalogs import ENVIRONMENT, attributes, hydration, snapshot
from tests.support.deltas import entry, guid
from tests.support.staging import table

PROFILE = "CustomerProfile"
RUN = Run("run", ENVIRONMENT, organization_id="org", attempt=2)
PLANNED = Task("run", PROFILE, PROFILE, Kind.TABLE, PROFILE, phase=TaskPhase.PLANNED, attempt="a", round=2)
ELSEWHERE = "state/of/an/earlier/run.parquet"
ONE, TWO, THREE, FOUR = (f"{number}0000000-0000-4000-8000-000000000000" for number in range(1, 5))
Births = Mapping[str, str | None]  # profile -> the plan that created it; None: it may have been removed since
NOW, NONE = "the plan", dict[str, str | None]()
EARLIER = {THREE: "long ago", FOUR: "once"}
MANY = {guid(number): f"plan {number}" for number in range(BRAKE_ROWS + 1)}
ALL = Policy()


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


def there(folder: Path, blobs: Blobs, store: Store) -> Births:
    """The profiles that rows of another table may point to, and when they were born."""
    services = cast("Services", Fakes(blobs, store))
    with planning.connection() as opened:
        opened.execute(f"SET temp_directory = {sql.text(str(folder))}")
        profiles.define(Reading(opened, services, snapshot([])), RUN, "Prediction")
        found = opened.execute("SELECT id::VARCHAR, born FROM profile").fetchall()
    assert len(dict(found)) == len(found), "a profile stands twice: rows that point to it would be written twice"
    return dict(found)


def hold(folder: Path, births: Births) -> Path:
    """The applied state of profiles that were born then."""
    file = folder / "state.parquet"
    with planning.connection() as opened:
        opened.execute("CREATE TABLE made (id UUID, entry UUID, mark VARCHAR, born VARCHAR)")
        for one, born in births.items():
            opened.execute("INSERT INTO made VALUES (?, ?, '', ?)", [one, entry("x"), born])
        state.save(opened, "made", file)
    return file


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    """What an earlier run wrote holds THREE and FOUR."""
    found = Blobs(tmp_path)
    found.upload(ELSEWHERE, hold(tmp_path, EARLIER))
    return found


def publish(
    folder: Path,
    blobs: Blobs,
    customers: Sequence[tuple[str, str]],
    known: Births = NONE,
    policy: Policy = ALL,
) -> Delta:
    """Plan profiles with an age each, where Dataverse holds some."""
    configured = hydration()
    with planning.connection() as opened:
        state.open_state(opened, hold(folder, known))
        table(opened, "customer", ("CustomerId", "Age"), *customers)
        wanted = columns(PROFILE, configured, attributes("CustomerId", "Age:int64"))
        compare.stage(opened, rows.profile(wanted, configured), policy, birth=NOW)
        delta = compare.number(opened, policy, write_stage=1, remove_stage=2)
        services = cast("Services", Fakes(blobs, Store()))
        profiles.publish(services, opened, folder, PLANNED, RUN)
        return delta


def planned(folder: Path, blobs: Blobs) -> Births:
    """The profiles that the plan of this round published."""
    return there(folder, blobs, Store([PLANNED], ELSEWHERE))


# -- what a plan publishes -----------------------------------------------------------------------------


def test_the_profiles_of_a_plan_are_the_valid_ones_and_those_that_were_written_before(
    tmp_path: Path, blobs: Blobs
) -> None:
    publish(tmp_path, blobs, [(ONE, "1"), (TWO, "none"), (THREE, "none")], {THREE: "once", FOUR: "once"})
    assert blobs.written[1:] == [paths.profiles(paths.plan(ENVIRONMENT, PLANNED, "a"))]
    assert planned(tmp_path, blobs) == {ONE: NOW, THREE: "once"}


def test_a_profile_that_is_known_keeps_its_birth_and_another_one_is_born_now(tmp_path: Path, blobs: Blobs) -> None:
    """Whether it is written again or not; a birth that nobody knows is one of now."""
    rows_of_both: list[tuple[str, str]] = [(ONE, "1"), (TWO, "2"), (THREE, "3")]
    publish(tmp_path, blobs, rows_of_both, {ONE: "once", TWO: None})
    assert planned(tmp_path, blobs) == {ONE: "once", TWO: NOW, THREE: NOW}


def test_a_rejected_profile_whose_birth_nobody_knows_is_there_without_one(tmp_path: Path, blobs: Blobs) -> None:
    publish(tmp_path, blobs, [(ONE, "none")], {ONE: None})
    assert planned(tmp_path, blobs) == {ONE: None}


@pytest.mark.parametrize("policy", [Policy(brake_percent=1), Policy(hold="why not"), Policy(remove=False)])
def test_profiles_that_left_the_snapshot_and_stay_in_dataverse_are_there(
    tmp_path: Path, blobs: Blobs, policy: Policy
) -> None:
    """Held by the brake or for a reason, or kept by the policy: rows of other tables point to them still."""
    delta = publish(tmp_path, blobs, [(ONE, "1")], {ONE: "first", **MANY}, policy)
    assert (delta.held + delta.kept, delta.removed) == (len(MANY), 0)
    assert planned(tmp_path, blobs) == {ONE: "first", **MANY}


@pytest.mark.parametrize("policy", [Policy(brake_percent=100), Policy(full=True, brake_percent=100)])
def test_profiles_that_the_plan_removes_are_not_there(tmp_path: Path, blobs: Blobs, policy: Policy) -> None:
    assert publish(tmp_path, blobs, [(ONE, "1")], {ONE: "first", **MANY}, policy).removed == len(MANY)
    assert planned(tmp_path, blobs) == {ONE: "first"}


def test_a_plan_without_any_profile_leaves_none(tmp_path: Path, blobs: Blobs) -> None:
    publish(tmp_path, blobs, [])
    assert planned(tmp_path, blobs) == {}


# -- which ones a table points to ----------------------------------------------------------------------


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
    assert there(tmp_path, blobs, Store(tasks, ELSEWHERE)) == EARLIER


def test_the_plan_of_this_round_counts_beside_one_of_an_earlier_round(tmp_path: Path, blobs: Blobs) -> None:
    publish(tmp_path, blobs, [(ONE, "1")])
    assert there(tmp_path, blobs, Store([replace(PLANNED, round=1, attempt="old"), PLANNED], ELSEWHERE)) == {ONE: NOW}


def test_where_there_never_was_a_profile_the_task_is_skipped(tmp_path: Path, blobs: Blobs) -> None:
    with pytest.raises(RequirementError, match="There is no profile that Prediction could point to"):
        there(tmp_path, blobs, Store())
