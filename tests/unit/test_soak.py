"""The table of `make soak`: parts of a campaign add up, and the page says what was run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import soak
from tests.support import campaigns


def test_parts_of_a_campaign_add_up() -> None:
    parts = [
        {"campaign": "Kills", "counted": "kills", "seed": 7, "count": 1500, "violations": 0, "seconds": 30.0},
        {"campaign": "Kills", "counted": "kills", "seed": 8, "count": 500, "violations": 1, "seconds": 60.0},
        {"campaign": "A", "counted": "histories", "seed": 7, "count": 2, "violations": 0, "seconds": 0.5},
    ]
    assert [row.cells() for row in soak.rows(parts)] == [
        ("A", "2 histories", "0", "7", "0.0 min"),
        ("Kills", "2,000 kills", "1", "7, 8", "1.5 min"),
    ]


def test_the_page_gets_the_table_and_keeps_its_words() -> None:
    page = soak.with_table("Before.\n<!-- soak -->\nold\n<!-- end -->\nAfter.\n", soak.rows([]), "Commit abc.")
    assert page.startswith("Before.\n<!-- soak -->\n| Campaign | Count |")
    assert page.endswith("\n\nCommit abc.\n<!-- end -->\nAfter.\n")
    assert "old" not in page
    assert "<!-- soak -->" in soak.PAGE.read_text(encoding="utf-8")


def lose_a_row() -> None:
    with campaigns.campaign("Kills", "kills", seed=4) as tally:
        tally.count += 1
        raise AssertionError("a row was lost")


def test_a_campaign_writes_down_what_it_did_and_that_it_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log.jsonl"
    monkeypatch.setattr(campaigns, "_LOG", str(log))
    with campaigns.campaign("Kills", "kills", seed=3) as tally:
        tally.count += 2
    with pytest.raises(AssertionError, match="lost"):
        lose_a_row()
    good, bad = (json.loads(line) for line in log.read_text().splitlines())
    assert (good["campaign"], good["count"], good["violations"], good["seed"]) == ("Kills", 2, 0, 3)
    assert (bad["count"], bad["violations"], bad["seed"]) == (1, 1, 4)
