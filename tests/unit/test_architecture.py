"""Who imports whom. Read from the sources, so that an import inside a function counts too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# From the top to the bottom: everything stands above what it imports. Parts that stand in one line do not import each
# other.
LAYERS = (
    {"function_app"},
    {"handlers"},
    {"shared.deliver"},
    {"shared.reports"},
    {"shared.retention"},
    {"shared.start", "shared.plan", "shared.prepare", "shared.send", "shared.close", "shared.page", "shared.views"},
    {"shared.confirm", "shared.pause", "shared.cancel"},
    {"shared.draft", "shared.lifecycle", "shared.claims", "shared.tasks", "shared.notes"},
    {"shared.links"},
    {"shared.planning"},
    {"shared.keys", "shared.inputs", "shared.profiles", "shared.provision"},
    {"shared.aggregates"},
    {"shared.reading", "shared.dispatch", "shared.outcomes"},
    {"shared.services", "shared.linking"},
    {"shared.organizations"},
    {"shared.throttling"},
    {"shared.runs", "shared.blobs", "shared.telemetry"},
    {"shared.delta"},
    {"shared.tables", "shared.clock"},
    {"shared.lake", "shared.dataverse"},
    {"shared.settings"},
    {"shared.errors", "shared.texts"},
)
SDKS = ("azure", "duckdb", "httpx", "msal", "pyarrow", "pydantic", "opentelemetry")
NETWORK = ("azure", "httpx", "msal", "shared.services", "shared.blobs", "shared.lake.storage")
DECISIONS = (
    "shared/runs/reconcile.py",
    "shared/runs/leftovers.py",
    "shared/runs/model.py",
    "shared/tables",
    "shared/linking",
    "shared/lake/snapshot.py",
)


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        path = ROOT / folder
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, `from package import module` as the module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = ROOT / node.module.replace(".", "/") / alias.name
                is_module = inner.with_suffix(".py").exists() or inner.is_dir()
                yield f"{node.module}.{alias.name}" if is_module else node.module


def part(module: str) -> str:
    """The part of the house that a module belongs to."""
    pieces = module.split(".")
    return ".".join(pieces[:2]) if pieces[0] == "shared" else pieces[0]


def level(module: str) -> int | None:
    return next((number for number, layer in enumerate(LAYERS) if part(module) in layer), None)


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


APP = [
    path
    for path in sources("function_app.py", "handlers", "shared")
    if path.name != "__init__.py" or path.stat().st_size > 200
]


@pytest.mark.parametrize("path", APP, ids=module_of)
def test_imports_run_downwards(path: Path) -> None:
    here = module_of(path).removesuffix(".__init__")
    assert level(here) is not None, f"{here} has no place in the layers"
    for module in imports(path):
        if module.split(".")[0] not in {"shared", "handlers", "function_app"} or part(module) == part(here):
            continue
        assert level(module) is not None, f"{module} has no place in the layers"
        assert (level(module) or 0) > (level(here) or 0), f"{here} imports {module}, which stands above or beside it"


@pytest.mark.parametrize("path", APP, ids=module_of)
def test_the_app_imports_nothing_that_is_not_deployed(path: Path) -> None:
    assert not [name for name in imports(path) if name.split(".")[0] in {"local", "tests", "bench"}]


@pytest.mark.parametrize("path", list(sources("handlers")), ids=module_of)
def test_handlers_import_no_sdk(path: Path) -> None:
    found = [name for name in imports(path) if name.split(".")[0] in SDKS and name != "azure.functions"]
    assert not found


@pytest.mark.parametrize("path", list(sources(*DECISIONS)), ids=module_of)
def test_decisions_do_not_know_the_network(path: Path) -> None:
    assert not [name for name in imports(path) if name.startswith(NETWORK)]
