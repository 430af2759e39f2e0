"""The status page: plain HTML, no script, every text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any
from urllib.parse import quote

from shared.texts import counted

_COUNTS = ("created", "changed", "unchanged", "removed", "rejected", "missing", "held", "writes")
_TEMPLATE = Template((files("shared.page") / "status.html").read_text(encoding="utf-8"))
_EMPTY = "<p>No run yet. One begins when Customer Insights has written its output and the lake has settled.</p>"


def render(runs: Sequence[dict[str, Any]], paused: Sequence[str] = (), code: str = "") -> str:
    """The page for runs with their tasks, newest first, and a sentence for each environment that is paused.

    `code` is the function key of whoever asks, where it was in the address: without it a link would be refused.
    """
    told = "\n".join(f"<p class='paused'>{_text(sentence)}</p>" for sentence in paused)
    return _TEMPLATE.substitute(paused=told, runs="\n".join(_run(run, code) for run in runs) or _EMPTY)


def _run(run: dict[str, Any], code: str) -> str:
    rows = "\n".join(_task(task, code) for task in run["tasks"])
    heads = "".join(f"<th scope='col'>{name.capitalize()}</th>" for name in ("name", "status", *_COUNTS, "detail"))
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>" if rows else ""
    status = f"<span class='{_class(run['status'])}'>{escape(run['status'])}</span>"
    return (
        f"<section><h2>{escape(run['environment'])} {status}</h2>"
        f"<p>Run {escape(run['id'])}, {escape(run['origin'])}, {escape(run['mode'])}; "
        f"opened {escape(run['opened'] or '-')}, ended {escape(run['ended'] or '-')}.</p>"
        f"<p>{_text(run['detail'])}</p>{_confirmable(run)}{table}</section>"
    )


def _confirmable(run: dict[str, Any]) -> str:
    """How what is held can be confirmed, or where it was; whether it is too late only the request can tell."""
    if run["confirmed_by"]:
        return f"<p>What it held was confirmed: run {escape(run['confirmed_by'])}.</p>"
    if not run["confirmable"] or not run["ended"] or run["mode"] == "plan":
        return ""
    held = counted(run["confirmable"], "held change")
    how = f"POST /api/runs/{run['id']}/confirm"
    return f"<p>{held} can be confirmed, until a newer run starts: {escape(how)}</p>"


def _task(task: dict[str, Any], code: str) -> str:
    counts = "".join(f"<td class='number'>{task[name]:,}</td>" for name in _COUNTS)
    return (
        f"<tr><th scope='row'>{escape(task['name'])}</th>"
        f"<td class='{_class(task['status'])}'>{escape(task['status'])}</td>"
        f"{counts}<td>{_text(task['detail'])}{_rejects(task, code)}</td></tr>"
    )


def _rejects(task: dict[str, Any], code: str) -> str:
    if not task["rejects"]:
        return ""
    address = f"{task['rejects']}?code={quote(code, safe='')}" if code else task["rejects"]
    return f"<br><a href='{escape(address)}'>Its rejects (CSV)</a>"


def _text(text: str) -> str:
    return escape(text).replace("\n", "<br>")


def _class(status: str) -> str:
    return escape(status.lower().replace(" ", "-"))
