"""Quoting for SQL that is composed from the catalog."""

from __future__ import annotations

from importlib.resources import files


def name(identifier: str) -> str:
    """A quoted identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def text(value: str) -> str:
    """A quoted literal."""
    return "'" + value.replace("'", "''") + "'"


def load(file: str) -> str:
    """One of the `.sql` files beside this module."""
    return (files("shared.tables") / file).read_text(encoding="utf-8")
