"""What is mutated, and by which tests each part is held: those that take no minutes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """Modules that are held by the same tests: names of files in tests/unit, or in a named folder of tests.

    The names stand without `test_` and `.py`.
    """

    modules: tuple[str, ...]
    tests: tuple[str, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of the tests."""
        places = [test.rpartition("/") for test in self.tests]
        return tuple(f"tests/{folder or 'unit'}/test_{name}.py" for folder, _, name in places)


GROUPS = {
    "pace": Group(
        ("shared/dataverse/pace.py", "shared/dataverse/limiter.py"),
        ("pace", "pace_decisions", "limiter_slots", "dataverse_limiter", "dataverse_waits", "slowness"),
    ),
    "send": Group(
        ("shared/send.py", "shared/outcomes.py", "shared/dispatch.py"),
        ("send", "chunk_claims", "chunk_outcomes", "given_up", "dispatch"),
    ),
    "plan": Group(("shared/plan.py",), ("plan", "planned_tables", "published_plans")),
    "decisions": Group(
        tuple(f"shared/runs/{name}.py" for name in ("reconcile", "outcome", "openings", "leftovers", "life")),
        ("reconcile", "openings", "leftovers", "life", "outcomes", "stopping", "turns_of_runs", "given_up", "tidying"),
    ),
    "store": Group(
        tuple(f"shared/runs/{name}.py" for name in ("store", "tables", "past", "entities", "paths", "messages")),
        (
            "stored_rows",
            "unanswered_writes",
            "entities",
            "messages",
            "deliveries",
            "turns_of_runs",
            "commits",
            "given_up",
            "chunk_claims",
            "plan",
            "leftovers",
        ),
    ),
    "delta": Group(
        tuple(f"shared/delta/{name}.py" for name in ("compare", "state", "chunks", "exceptions", "counts")),
        ("delta", "delta_figures", "refused_rows", "chunks", "link_adoption", "link_unknowns", "births", "copies"),
    ),
    "rejects": Group(("shared/delta/rejects.py",), ("rejects",)),
    "files": Group(
        tuple(f"shared/delta/{name}.py" for name in ("source", "delimited", "plain", "parquet", "engine")),
        (
            "plain",
            "structure",
            "engine",
            "faults_of_files",
            "formats",
            "copies",
            "integration/source",
            "integration/source_parquet",
            "integration/source_types",
            "integration/unreadable",
        ),
    ),
    "linking": Group(
        tuple(f"shared/linking/{name}.py" for name in ("requirements", "rows", "sources")),
        ("link_requirements", "link_rows", "link_sources", "link_tasks", "link_adoption", "link_unknowns"),
    ),
}

LEFT_OUT = {
    "shared/runs/queues.py": "the SDK of Service Bus, tested against a real broker",
    "shared/runs/model.py": "values without decisions",
    "shared/runs/rows.py": "values without decisions",
    "shared/linking/texts.py": "texts",
}

SLOW = (
    "tests/unit/test_births.py::test_one_birth_is_one_row_of_dataverse",
    "tests/unit/test_rejects.py::test_every_text_comes_back",
    "tests/unit/test_rejects.py::test_however_it_is_split_no_part_begins_as_a_formula",
)
"""Tests that take many seconds, and hold nothing that others do not."""
