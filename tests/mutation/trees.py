"""Copies of the tree: nothing is ever changed where people work."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    "handlers", "local", "shared", "tests", "docs", "function_app.py", "host.json", "hydration.toml",
    "local.settings.example.json", "pyproject.toml", "requirements.txt", "requirements-dev.txt", "README.md",
)  # fmt: skip
"""What the unit tests read."""

_LEFT = shutil.ignore_patterns("__pycache__", "*.pyc")


def copy(to: Path) -> Path:
    """The tree as it is now, in an empty folder."""
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, to / part, ignore=_LEFT)
        elif (ROOT / part).exists():
            shutil.copy2(ROOT / part, to / part)
    return to


def copy_tests(to: Path) -> None:
    """The tests as they are now, in a copy whose other parts stay."""
    shutil.rmtree(to / "tests")
    shutil.copytree(ROOT / "tests", to / "tests", ignore=_LEFT)


def pytest_command(*arguments: str) -> list[str]:
    """Run from within a copy, with nothing left behind."""
    return [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments]
