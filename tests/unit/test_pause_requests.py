"""What a request to pause may say."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import ConfigurationError
from shared.pause import read_reason


def test_a_reason_may_be_given() -> None:
    assert read_reason(None) == read_reason({}) == ""
    assert read_reason({"reason": " Maintenance. "}) == "Maintenance."
    assert read_reason({"reason": "x" * 500}) == "x" * 500


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ([], "must be empty or a JSON object"),
        ("why", "must be empty or a JSON object"),
        ({"reason": 5}, "1 to 500 characters"),
        ({"reason": None}, "1 to 500 characters"),
        ({"reason": "  "}, "1 to 500 characters"),
        ({"reason": "x" * 501}, "1 to 500 characters"),
        ({"why": "Maintenance."}, "why is not known here"),
    ],
)
def test_a_request_that_cannot_be_met_says_why(content: Any, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        read_reason(content)
