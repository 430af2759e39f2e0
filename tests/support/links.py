"""Source tables to link: environments with lakes made by hand, served in this process over the real storage.

Each environment has an organization of its own, and its CRM is the data source `CRM<number>`. Time is turned, so that
nobody waits for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from local import landing, snapshots
from local.inputs import lake_folder
from local.stack import Stack
from shared import confirm, lifecycle
from shared.blobs import Blobs
from shared.clock import Clock
from shared.runs.model import Mode, Phase
from shared.runs.store import Store
from shared.services import Services
from shared.settings import Settings
from shared.views import run_with_tasks
from tests.support.lakes import Entity, write_lake
from tests.support.local_dataverse import Api, close
from tests.support.one_duckdb import one_duckdb
from tests.support.tenants import Tenant, next_number
from tests.support.workers import Workshop, settings_of

PREFIX = "msdynci"
LOOKUP = "msdynci_lookupfield_customerprofile"
VALUE = f"_{LOOKUP}_value"
PROFILE = "msdynci_customerprofile"
LINKING = "CustomerId Backstamping Hydration: "
NEITHER = ("modifiedon", "versionnumber")
"""Columns that Dataverse itself changes with every write."""
NOT_FOUND = 404
COUNTS = ("created", "changed", "unchanged", "removed", "writes", "rejected", "missing", "held")
WITHOUT_KEYS = "[tables.AlternateKey]\nenabled = false\n"
"""What links are made of is read from the lake, whether or not it becomes a table: one table less is a faster run."""
KEYS = ("DataSourceName", "EntityName", "AlternateValue", "CustomerId")
Links = Mapping[str, str]
"""Source row -> profile."""


def person(number: int) -> str:
    """The id of a profile: a GUID, so that its row in Dataverse has it too."""
    return f"{number:08x}-aaaa-4000-8000-00000000face"


def row(number: int) -> str:
    """The id of a source row."""
    return f"{number:08x}-bbbb-4000-8000-00000000c0de"


def names(numbers: Iterable[int]) -> dict[str, str]:
    """So many profiles, with their names."""
    return {person(number): f"Person {number}" for number in numbers}


def paired(numbers: Iterable[int]) -> dict[str, str]:
    """Each source row with the profile of its number."""
    return {row(number): person(number) for number in numbers}


class OfStack(Api):
    """The Web API of an organization on the stack: what people and earlier systems write with."""

    def __init__(self, stack: Stack, host: str) -> None:
        self._header = stack.settings["IDENTITY_HEADER"]
        super().__init__(stack.dataverse_url, host)

    def sign_in(self, client_id: str | None = None) -> str:
        options = {"api-version": "2019-08-01", "resource": f"https://{self.host}"}
        options |= {"client_id": client_id} if client_id else {}
        answer = self.http.get("/msi/token", params=options, headers={"X-IDENTITY-HEADER": self._header})
        return str(answer.raise_for_status().json()["access_token"])


@dataclass(frozen=True)
class Outcome:
    """What a run told, and the rows of each table that it made Dataverse write, by Dataverse's own count."""

    told: dict[str, Any]
    written: dict[str, int]

    def task(self, name: str) -> dict[str, Any]:
        """The task of an output table, or of a source table."""
        found: dict[str, Any] = next(
            one for one in self.told["tasks"] if one["name"] in {name, LINKING + name} or one["key"] == name
        )
        return found

    def counts(self, name: str) -> dict[str, int]:
        """The counts of a task that are not 0."""
        task = self.task(name)
        return {count: task[count] for count in COUNTS if task[count]}


@dataclass
class Home:
    """One environment with its organization."""

    stack: Stack
    workshop: Workshop
    services: Services
    api: OfStack
    folder: Path
    data_source: str
    seeded: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    landings: int = 0

    @property
    def environment(self) -> str:
        return self.workshop.tenant.environment

    # -- what there is -----------------------------------------------------------------------------------

    def seed(self, table: str, rows: Iterable[str], column: str = "firstname", key: str = "") -> None:
        """Put rows into a source table, each with a text of its own."""
        key = key or f"{table}id"
        lines = [f"{key},{column}", *(f"{one},Text of {one}" for one in rows)]
        self.api.http.post(
            f"/local/{self.api.host}/seed/{table}", params={"primary_key": key}, content="\n".join(lines).encode(),
            headers={"Content-Type": "text/csv"},
        ).raise_for_status()  # fmt: skip
        self.remember(table, key)

    def remember(self, table: str, key: str = "") -> None:
        """What stands in a source table now is what it must hold, beside its links."""
        self.keys[table] = key or self.keys.get(table, f"{table}id")
        self.seeded[table] = self._without_links(table)

    def rows(self, table: str) -> dict[str, dict[str, Any]]:
        """Every row with every cell, but for those that every write changes."""
        key = self.keys.get(table, f"{table}id")
        answer = self.api.http.get(f"/local/{self.api.host}/export/{table}")
        lines = answer.raise_for_status().text.splitlines() if answer.status_code != NOT_FOUND else []
        found = [{name: cell for name, cell in json.loads(one).items() if name not in NEITHER} for one in lines]
        return {one[key]: one for one in found}

    def links(self, table: str) -> dict[str, str]:
        """Where the rows of a source table point to."""
        return {key: cells[VALUE] for key, cells in self.rows(table).items() if cells.get(VALUE)}

    def _without_links(self, table: str) -> dict[str, dict[str, Any]]:
        left_out = (VALUE, f"{LOOKUP}name")
        return {
            key: {name: cell for name, cell in cells.items() if name not in left_out}
            for key, cells in self.rows(table).items()
        }

    def assert_holds(self, profiles: Mapping[str, str], **tables: Links) -> None:
        """Every cell of the profiles and of these source tables; of every other seeded one no link is set."""
        found = {
            key: (cells[f"{PREFIX}_customerid"], cells[f"{PREFIX}_name"]) for key, cells in self.rows(PROFILE).items()
        }
        assert found == {key: (key, name) for key, name in profiles.items()}
        for table, seeded in self.seeded.items():
            assert self._without_links(table) == seeded, table
            assert self.links(table) == dict(tables.get(table, {})), table

    def assert_unlinked(self, table: str) -> None:
        """The table is as it was seeded, and has no lookup to profiles."""
        assert VALUE not in next(iter(self.rows(table).values()))
        assert self._without_links(table) == self.seeded[table]

    def lacks(self, *privileges: str, **depth: str) -> None:
        """Take privileges from the application user, or their depth; without any it has them all again."""
        body = {"lacking": privileges, "depth": depth}
        told = self.api.http.post(f"/local/{self.api.host}/privileges", json=body).raise_for_status().json()
        assert told["unknown"] == [], told

    def point(self, table_set: str, one: str, profile: str | None) -> None:
        """What somebody does by hand: point a row to a profile, or to none."""
        target = f"/{PROFILE}s({profile})" if profile else None
        self.api.expect(204, "PATCH", f"{table_set}({one})", json={f"{LOOKUP}@odata.bind": target})

    def statistics(self) -> dict[str, Any]:
        return snapshots.statistics(self.stack, self.api.host)

    # -- what happens ------------------------------------------------------------------------------------

    def land(self, profiles: Mapping[str, str], *others: Entity, **tables: Links) -> Outcome:
        """Land an output with these profiles, and the keys of these tables of the CRM; what the run led to."""
        return self.deliver(profiles, self.keys_of(tables), *others)

    def keys_of(self, tables: Mapping[str, Links]) -> list[tuple[str, str, str, str]]:
        """The alternate keys of tables of the CRM."""
        return [(self.data_source, table, value, one) for table, rows in tables.items() for value, one in rows.items()]

    def deliver(
        self, profiles: Mapping[str, str], keys: Iterable[tuple[str, str, str, str]], *others: Entity
    ) -> Outcome:
        """Land an output with these profiles and these alternate keys: data source, table, value, profile."""
        self.put(profiles, keys, *others)
        return self.observed(self.workshop.announce)

    def profiles(self, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Outcome:
        """Land profiles alone, with these columns of keys."""
        self._put(Entity("Customer", ("CustomerId", "Name", *columns), {"1.csv": _lines(rows)}))
        return self.observed(self.workshop.announce)

    def put(self, profiles: Mapping[str, str], keys: Iterable[tuple[str, str, str, str]], *others: Entity) -> None:
        """Write the output to the lake, and tell nobody."""
        customers = Entity("Customer", ("CustomerId", "Name"), {"1.csv": _lines(profiles.items())})
        alternate = Entity("AlternateKey", KEYS, {"1.csv": _lines(keys)})
        self._put(customers, alternate, *others)

    def _put(self, *entities: Entity) -> None:
        self.landings += 1
        lake = write_lake(self.folder / f"lake{self.landings}", self.environment, *entities)
        landing.land(lake_folder(lake), self.stack.lake_connection_string, self.services.settings.lake_container)

    def ask(self, mode: Mode = Mode.INCREMENTAL, *tables: str) -> Outcome:
        """Ask for a run as a person does."""
        return self.observed(lambda: lifecycle.request_run(self.services, self.environment, mode, tables))

    def plan(self) -> Outcome:
        """Ask what a run would write, and stop as soon as that is told: what landed waits still."""
        before = self.written()
        run = lifecycle.request_run(self.services, self.environment, Mode.PLAN, ())
        while run.phase is not Phase.ENDED:
            self.workshop.work(self.services)
            run = self.services.store.run(self.environment, run.id)
        return Outcome(run_with_tasks(self.services, run), self.written(before))

    def written(self, before: Mapping[str, int] | None = None) -> dict[str, int]:
        """How many rows of which table were written, since then; tables without any are left out."""
        now, then = snapshots.rows_written(self.stack, self.api.host), before or {}
        return {table: count - then.get(table, 0) for table, count in now.items() if count - then.get(table, 0)}

    def confirm(self, run: str) -> Outcome:
        """Let what a run held be carried out."""
        return self.observed(lambda: confirm.confirm(self.services, run))

    def observed(self, begin: Callable[[], object]) -> Outcome:
        """What somebody begins, worked for to its end."""
        before = self.written()
        begin()
        self.workshop.work_to_the_end(self.services)
        return Outcome(self.workshop.told(self.services), self.written(before))


def _lines(rows: Iterable[Iterable[str]]) -> str:
    return "".join(",".join(f'"{cell}"' for cell in one) + "\n" for one in rows)


@dataclass
class Street:
    """One stack, and the homes on it."""

    stack: Stack
    settings: Settings
    root: Path
    closing: ExitStack
    free: dict[int, Tenant]  # by the number of its CRM

    def home(self) -> Home:
        """An environment that nobody has worked for yet."""
        number, tenant = next(iter(self.free.items()))
        del self.free[number]
        folder = self.root / f"home{number}"
        folder.mkdir()
        tenant = replace(tenant, root=folder)
        workshop = self.closing.enter_context(Workshop(self.stack, self.settings, tenant))
        api = OfStack(self.stack, tenant.organization)
        return Home(self.stack, workshop, workshop.worker(), api, folder, f"CRM{number}")


@contextmanager
def street(
    stack: Stack, root: Path, homes: int, config: str = WITHOUT_KEYS, audience: str = "individuals"
) -> Iterator[Street]:
    """So many environments on a stack without a host. `config`: more of hydration.toml; their CRMs are numbered from 0.

    Other streets may stand on the same stack.
    """
    parts, tenants = [config], {number: Tenant(next_number(), root) for number in range(homes)}
    for number, tenant in tenants.items():
        url = f'"https://{tenant.organization}"'
        parts.append(f'[environments."{tenant.environment}"]\ndataverse_url = {url}\naudience = "{audience}"\n')
        parts.append(f"[data_sources.CRM{number}]\ndataverse = {url}\n")
    (root / "hydration.toml").write_text("\n".join(parts), encoding="utf-8")
    with (
        one_duckdb(),
        pytest.MonkeyPatch.context() as patch,
        ExitStack() as closing,
    ):
        for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
            patch.setenv(name, stack.settings[name])
        settings = settings_of(stack, root / "hydration.toml")
        Store(settings.status_storage, Clock()).create_tables()
        Blobs(settings).create_container()
        closing.callback(close, stack.dataverse_url)
        yield Street(stack, settings, root, closing, tenants)
