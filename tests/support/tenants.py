"""Many environments on one stack: each the same two days of the sample, bound to an organization of its own.

A data source belongs to one organization, so each environment's CRM has a name of its own: `CRM<number>`.
"""

from __future__ import annotations

import io
import itertools
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from local import sample, snapshots
from local.inputs import dataverse_rows, lake_folder
from local.stack import Stack
from tests import oracle
from tests.support.dataverse import assert_equal

LINKED = {f"CustomerId Backstamping Hydration: {table}": table for table in ("contact", "lead")}
PROCESSES = ("unification", "matching", "segments")
"""The folders of the sample that a tenant has: the profiles, and one table that is made of several entities."""
SUBJECTS = {name: name for name in ("CustomerProfile", "AlternateKey", "SegmentMembership")} | LINKED
"""Tasks by name, with the name that the oracle knows them by."""
COUNTS = ("created", "changed", "unchanged", "removed", "writes", "rejected", "missing", "held")


_NUMBERS = itertools.count()


def next_number() -> int:
    """A number that no tenant of this process has, for tenants on a stack that many tests share."""
    return next(_NUMBERS)


@dataclass(frozen=True)
class Tenant:
    """One environment with its organization. `root` holds the lakes of both days and the rows of its CRM.

    `lacks`: every how-many-th contact the CRM does not have; 0: it has them all.
    """

    number: int
    root: Path
    lacks: int = 0

    @property
    def environment(self) -> str:
        return f"{self.number:08x}-77aa-4b52-9d3c-1f8b6f5d2e10"

    @property
    def organization(self) -> str:
        return f"org{self.number}.crm.dynamics.com"

    def lake(self, day: int) -> Path:
        """The lake of a day, written at the first call."""
        folder = self.root / f"tenant{self.number}" / f"day{day}"
        if not folder.exists():
            for file in sorted((self.root / f"day{day}").rglob("*.*")):
                if file.relative_to(self.root / f"day{day}").parts[1] not in PROCESSES or file.is_dir():
                    continue
                path = folder / self._own(str(file.relative_to(self.root / f"day{day}")))
                path.parent.mkdir(parents=True, exist_ok=True)
                content = file.read_bytes()
                text = file.suffix in {".csv", ".json"}
                path.write_bytes(self._own(content.decode()).encode() if text else content)
        return folder

    def expected(self, day: int) -> oracle.Expected:
        """What Dataverse holds after a day: no link of a contact that is not there."""
        found, missing = self._in_lake(day), self._missing()
        links = {
            table: {row: profile for row, profile in rows.items() if row not in missing}
            for table, rows in found.links.items()
        }
        return replace(found, links=links)

    def _in_lake(self, day: int) -> oracle.Expected:
        crm = f"CRM{self.number}"
        sources = [oracle.Source(crm, table, f"{crm}_{table}_{table}id", table) for table in LINKED.values()]
        shop = oracle.Source("Shop", "customers", "Shop_customers_customerid")
        return oracle.expected(self.lake(day), self.environment, [*sources, shop])

    def counts(self, day: int, before_it: int | None = None) -> dict[str, dict[str, int]]:
        """What every task of an undisturbed day tells. `before_it`: the day that was there before; 0: none was.

        By itself that is the day before.
        """
        known = day - 1 if before_it is None else before_it
        before = self.expected(known).task if known else (lambda _: {})
        after = self.expected(day).task
        told = {task: oracle.difference(before(name), after(name)) for task, name in SUBJECTS.items()}
        lake = self._in_lake(day).task
        missing = {task: len(lake(name)) - len(after(name)) for task, name in SUBJECTS.items()}
        return {
            task: {"created": len(one.created), "changed": len(one.changed), "unchanged": len(one.unchanged)}
            | {"removed": len(one.removed), "writes": one.writes, "missing": missing[task], "rejected": 0, "held": 0}
            for task, one in told.items()
        }

    def seed(self, stack: Stack) -> None:
        missing, folder = self._missing(), self.root / f"tenant{self.number}" / "dataverse"
        folder.mkdir(parents=True, exist_ok=True)
        for file in (self.root / "dataverse").glob("*.csv"):
            kept = [line for line in file.read_text(encoding="utf-8").splitlines() if line[:36] not in missing]
            (folder / file.name).write_text("\n".join(kept) + "\n", encoding="utf-8")
        snapshots.seed(stack, self.organization, dataverse_rows(folder, {}))

    def _missing(self) -> set[str]:
        rows = (self.root / "dataverse" / "contact.csv").read_text(encoding="utf-8").splitlines()[1:]
        return {line[:36] for line in rows[:: self.lacks]} if self.lacks else set()

    def land(self, stack: Stack, day: int) -> dict[str, Any]:
        """Land a day and wait for the end of the run that it causes."""
        quiet = Console(file=io.StringIO(), width=160)
        return snapshots.hydrate(stack, lake_folder(self.lake(day)), quiet)[self.environment]

    def written(self, stack: Stack) -> dict[str, int]:
        return snapshots.rows_written(stack, self.organization)

    def assert_day(self, stack: Stack, day: int, run: dict[str, Any], before_it: int | None = None) -> None:
        """The run went well, tells what an undisturbed one tells, and Dataverse holds what the oracle says."""
        assert run["status"] == "Successful", run
        found = {task["name"]: {count: task[count] for count in COUNTS} for task in run["tasks"]}
        told, due = {name: found[name] for name in SUBJECTS}, self.counts(day, before_it)
        assert told == due, f"{told=}, {due=}"
        self.assert_content(stack, day)

    def assert_content(self, stack: Stack, day: int) -> None:
        """Dataverse holds what the oracle says, cell by cell."""
        content = self.root / f"tenant{self.number}" / "content"
        shutil.rmtree(content, ignore_errors=True)
        snapshots.export(stack, self.organization, content)
        assert_equal(content, self.expected(day))

    def _own(self, text: str) -> str:
        return text.replace("CRM_", f"CRM{self.number}_").replace(sample.ENVIRONMENT, self.environment)


def write_sample(root: Path, people: int) -> None:
    """What every tenant's files are made from."""
    for day in (1, 2):
        sample.write(root / f"day{day}", day, people)
    sample.dataverse_rows(root / "dataverse", people)


def configuration(tenants: Iterable[Tenant]) -> str:
    """The hydration.toml that binds every tenant to its organization."""
    parts = ['[data_sources.Shop.tables.customers]\nprimary_key = "customerid"\n']
    for tenant in tenants:
        url = f'"https://{tenant.organization}"'
        parts.append(f'[environments."{tenant.environment}"]\ndataverse_url = {url}\naudience = "individuals"\n')
        parts.append(f"[data_sources.CRM{tenant.number}]\ndataverse = {url}\n")
        parts += [
            f'[data_sources.CRM{tenant.number}.tables.{table}]\nprimary_key = "{table}id"\n'
            for table in LINKED.values()
        ]
    return "\n".join(parts)
