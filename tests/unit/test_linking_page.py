"""docs/linking.md names every text that people read of linking."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.linking import texts

PAGE = " ".join((Path(__file__).resolve().parents[2] / "docs" / "linking.md").read_text(encoding="utf-8").split())
REQUIREMENTS = (
    "Error: Linking of Dataverse tables to the CustomerProfile table is skipped.",
    (
        "Error: The backstamping job is skipped. It only runs when unification setup contains tables that are ingested "
        "to Customer Insights from the same Dataverse organization that was configured or selected during instance "
        "creation."
    ),
)
TEXTS = {name: text for name, text in vars(texts).items() if name.isupper() and isinstance(text, str)}


@pytest.mark.parametrize("name", TEXTS)
def test_every_text_of_linking_stands_on_its_page(name: str) -> None:
    assert f"`{TEXTS[name].replace('{', '<').replace('}', '>')}`" in PAGE


def test_the_page_has_no_text_that_is_not_told() -> None:
    told = {text.replace("{", "<").replace("}", ">") for text in TEXTS.values()}
    shown = {line.split("`")[1] for line in _rows_of_texts()}
    assert shown <= told


def test_documented_texts_are_verbatim() -> None:
    assert (texts.NOT_LINKED, texts.NOT_INGESTED) == REQUIREMENTS


def _rows_of_texts() -> list[str]:
    page = (Path(__file__).resolve().parents[2] / "docs" / "linking.md").read_text(encoding="utf-8")
    return [line for line in page[page.index("## Skipped") :].splitlines() if line.startswith("| `")]
