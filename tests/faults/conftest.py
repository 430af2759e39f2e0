"""What the campaigns share: one place to work. Their sizes stand in tests/support/campaigns.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.stack import Stack
from tests.support.workers import Workplace, workplace

PEOPLE = 30


@pytest.fixture(scope="module", name="workplace")
def _workplace(bare_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    with workplace(bare_stack, tmp_path_factory.mktemp("workplace"), PEOPLE) as found:
        yield found
