"""How long what is left of a run is kept, as the configuration file says it."""

from __future__ import annotations

import pytest

from shared.settings import configuration

BOUND = {"environments": {"one": {"dataverse_url": "https://contoso.crm.dynamics.com"}}}


@pytest.mark.parametrize(("days", "kept"), [(None, 30), (1, 1), (7.5, 7.5), (3650, 3650)])
def test_it_is_thirty_days_or_what_the_file_says(days: float | None, kept: float) -> None:
    faults: list[str] = []
    found = configuration.parse(BOUND | ({} if days is None else {"retention_days": days}), faults, "hydration.toml")
    assert (found.retention_days, faults) == (kept, [])


@pytest.mark.parametrize("days", [0, 0.5, -1, 3651, True, "30", float("nan")])
def test_less_than_a_day_and_what_is_no_number_is_refused(days: object) -> None:
    faults: list[str] = []
    configuration.parse(BOUND | {"retention_days": days}, faults, "hydration.toml")
    assert faults == ["hydration.toml: retention_days must be a number from 1 to 3650."]
