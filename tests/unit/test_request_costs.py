"""What a request costs, and which profiles there are."""

from __future__ import annotations

from typing import Any

import pytest

from local.dataverse.errors import DataverseError
from local.dataverse.profiles import PROFILES, Profile, changed, number
from local.dataverse.timing import INSTANT, Costs, bulk_rows

COSTS = Costs(request=0.5, row=0.01, operation=0.1, cores=4)


def test_a_request_costs_its_own_price_and_that_of_its_rows_and_operations() -> None:
    assert COSTS.seconds(200, 0, 1) == pytest.approx(2.5)
    assert COSTS.seconds(0, 10, 1) == pytest.approx(1.5)
    assert INSTANT.seconds(1000, 1000, 100) == 0


@pytest.mark.parametrize(("under_way", "expected"), [(1, 1), (4, 1), (5, 1.25), (8, 2)])
def test_more_under_way_than_cores_stretch_it_in_proportion(under_way: int, expected: float) -> None:
    assert COSTS.seconds(0, 5, under_way) == pytest.approx(expected)


def test_more_parallelism_than_cores_wins_nothing_and_costs_execution_time() -> None:
    def rows_a_second(parallel: int) -> float:
        return parallel * 200 / COSTS.seconds(200, 0, parallel)

    assert rows_a_second(2) < rows_a_second(4) == rows_a_second(8) == rows_a_second(52)
    assert COSTS.seconds(200, 0, 8) == 2 * COSTS.seconds(200, 0, 4)


@pytest.mark.parametrize(("chance", "expected"), [(0, 0.9), (0.5, 1), (1, 1.1)])
def test_jitter_is_a_share_of_it(chance: float, expected: float) -> None:
    assert Costs(request=1, jitter=0.1).seconds(0, 0, 1, chance) == pytest.approx(expected)


def test_the_targets_of_bulk_actions_are_its_rows_in_a_batch_too() -> None:
    target = b'{"@odata.type": "Microsoft.Dynamics.CRM.contact"}'
    body = b'{"Targets": [' + b",".join([target] * 3) + b"]}"
    assert bulk_rows("contacts/Microsoft.Dynamics.CRM.UpsertMultiple", body) == 3
    assert bulk_rows("$batch", b"POST contacts/Microsoft.Dynamics.CRM.CreateMultiple HTTP/1.1\r\n" + body) == 3
    assert bulk_rows("$batch", b"POST EntityDefinitions HTTP/1.1\r\n" + body) == 0
    assert bulk_rows("EntityDefinitions", body) == 0


def test_the_realistic_profile_gives_a_user_what_others_measured_on_a_server() -> None:
    profile = PROFILES["realistic"]
    seconds = profile.costs.seconds(200, 0, 4)
    allowed = (profile.limits.execution or 0) / profile.limits.window / seconds * 200
    assert 180 <= allowed <= 220
    assert profile.parallelism == 16


def test_a_profile_with_changes_keeps_the_rest() -> None:
    found = changed(PROFILES["instant"], {"profile": "realistic", "limits": {"requests": 5}, "dop_hint": 3})
    assert (found.limits.requests, found.limits.execution, found.costs) == (5, 1200, PROFILES["realistic"].costs)
    assert found.parallelism == 3
    assert changed(found, {"servers": 4}).limits.requests == 5
    assert changed(Profile(), found.report()) == found


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"profile": "fast"}, "There is no profile 'fast'; known: instant, realistic."),
        ({"limits": {"rows": 1}}, "There is no 'rows'; known: window, requests"),
        ({"limits": {"requests": 1.5}}, "requests must be a whole number; it is 1.5."),
        ({"limits": {"resolution": 0}}, "resolution must be above 0; it is 0."),
        ({"limits": {"grace": None}}, "grace cannot be without a value; it is None."),
        ({"costs": {"row": float("inf")}}, "row must be 0 or more; it is inf."),
        ({"costs": {"row": True}}, "row must be a number; it is True."),
    ],
)
def test_what_a_profile_cannot_be_is_said(wanted: dict[str, Any], told: str) -> None:
    with pytest.raises(DataverseError) as raised:
        changed(Profile(), wanted)
    assert raised.value.message.startswith(told)


def test_values_of_the_command_line_are_numbers_or_none() -> None:
    assert [number(text) for text in ("6000", "0.5", "none", "-1")] == [6000, 0.5, None, -1]
    with pytest.raises(ValueError, match="often"):
        number("often")
