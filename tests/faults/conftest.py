"""What the campaigns share. SOAK=1 makes them long, FAULT_TENANTS as long as wanted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.workers import TENANTS, Workplace, workplace

PEOPLE = 30
_OTHERS = 20  # tenants of tests that are no campaigns


@pytest.fixture(scope="session", name="workplace")
def _workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    with workplace(tmp_path_factory.mktemp("workplace"), 4 * TENANTS + _OTHERS, PEOPLE) as found:
        yield found
