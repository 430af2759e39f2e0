"""The status page: everything is told, and nothing that a name or a text holds becomes part of the page."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.page.status import render

COUNTS = ("created", "changed", "unchanged", "removed", "rejected", "missing", "held", "writes")
VOID = {"meta", "br"}


class Page(HTMLParser):
    """The elements of a page, their attributes and texts. Fails where they are not nested as they should be."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style" and data.strip():
            self.texts.append(data)


def task(name: str = "CustomerProfile", status: str = "Successful", detail: str = "", **counts: Any) -> dict[str, Any]:
    return {"name": name, "status": status, "detail": detail, "rejects": None} | dict.fromkeys(COUNTS, 0) | counts


def run(*tasks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    known = {"id": "20261102", "environment": "env", "mode": "incremental", "origin": "automatic", "detail": ""}
    times = {"opened": "2026-11-02T03:00:00+00:00", "ended": None}
    held = {"confirmable": 0, "confirmed_by": None}
    return known | times | held | {"status": "Successful", "tasks": list(tasks)} | fields


def test_without_a_run_it_says_when_one_begins() -> None:
    page = Page(render([]))
    assert any(text.startswith("No run yet.") for text in page.texts)
    assert "table" not in {tag for tag, _ in page.elements}


def test_it_tells_of_runs_tasks_statuses_and_counts() -> None:
    counts: dict[str, Any] = {name: 1000 + number for number, name in enumerate(COUNTS)}
    page = Page(render([run(task(status="Completed with rejects", detail="Two\nlines", **counts)), run(id="older")]))
    told = " ".join(page.texts)
    for text in ("env", "20261102", "older", "automatic", "incremental", "CustomerProfile", "Completed with rejects"):
        assert text in told
    assert [text for text in page.texts if text.startswith("1,00")] == [f"1,{number:03}" for number in range(8)]
    assert {"Two", "lines"} <= set(page.texts)
    assert told.index("20261102") < told.index("older")
    heads = [attributes for tag, attributes in page.elements if tag == "th" and attributes == {"scope": "col"}]
    assert len(heads) == len(COUNTS) + 3


def test_a_run_without_tasks_has_no_table() -> None:
    assert "<table" not in render([run(detail="It waits for its turn.")])


def test_it_tells_which_environments_are_paused() -> None:
    assert "class='paused'" not in render([run()])
    page = Page(render([], ["Environment e: Paused since <noon>."]))
    assert "Environment e: Paused since <noon>." in page.texts


def test_it_tells_how_what_a_run_held_is_confirmed() -> None:
    ended = {"ended": "2026-11-02T03:00:00+00:00"}
    assert "1 held change can be confirmed" in render([run(id="r1", confirmable=1, **ended)])
    assert "POST /api/runs/r1/confirm" in render([run(id="r1", confirmable=1, **ended)])
    confirmed = render([run(id="r1", confirmable=1, confirmed_by="r2", **ended)])
    assert "What it held was confirmed: run r2." in confirmed
    for cannot in (run(confirmable=0, **ended), run(confirmable=1), run(confirmable=1, mode="plan", **ended)):
        assert "/confirm" not in render([cannot])


def links(page: str) -> list[str | None]:
    return [attributes["href"] for tag, attributes in Page(page).elements if tag == "a"]


def test_a_task_with_rejects_links_to_its_file() -> None:
    runs = [run(task(rejects="/api/runs/r1/rejects/link.contact"), task("Without"))]
    assert links(render(runs)) == ["/api/runs/r1/rejects/link.contact"]


def test_who_came_with_a_key_in_the_address_follows_a_link_with_it() -> None:
    runs = [run(task(rejects="/api/runs/r1/rejects/link.contact"))]
    assert links(render(runs, code="a'&b=")) == ["/api/runs/r1/rejects/link.contact?code=a%27%26b%3D"]


nasty = st.text(max_size=20) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        "</title><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        '" autofocus="',
        "&lt;b&gt;",
        "$runs ${runs} $$",
        "]]><!--",
        "line\nline",
    ]
)
nasty_tasks = st.builds(task, nasty, nasty, nasty, created=st.integers(0, 10**12), rejects=st.none() | nasty)
nasty_runs = st.builds(
    run, nasty_tasks, id=nasty, environment=nasty, mode=nasty, origin=nasty, status=nasty, detail=nasty,
    opened=st.none() | nasty, ended=st.none() | nasty, confirmable=st.integers(0, 3), confirmed_by=st.none() | nasty,
)  # fmt: skip
KNOWN = {tag for tag, _ in Page(render([run(task())])).elements} | {"br", "a"}


@given(st.lists(nasty_runs, max_size=3), st.lists(nasty, max_size=2))
def test_no_text_becomes_part_of_the_page(runs: list[dict[str, Any]], paused: list[str]) -> None:
    page = Page(render(runs, paused))
    assert {tag for tag, _ in page.elements} <= KNOWN
    names = {name for _, attributes in page.elements for name in attributes}
    assert names <= {"lang", "charset", "name", "content", "class", "scope", "href"}
    assert sum(tag == "section" for tag, _ in page.elements) == len(runs)
    told = "".join(page.texts)
    for one in runs:
        assert one["id"].strip() in told
        assert "".join(one["detail"].split("\n")).strip() in told.replace("\n", "")


def test_the_page_needs_nothing_from_elsewhere() -> None:
    page = render([run(task())])
    assert "http" not in page
    assert "<script" not in page
    assert page.startswith("<!doctype html>")
