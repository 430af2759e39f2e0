"""What tests of several kinds share: the local stack with the app in it."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

from local.children import ROOT, base_environment
from local.stack import Stack

# A busy machine draws examples slowly: that says nothing of what is tested.
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")


@pytest.fixture(scope="session", autouse=True)
def _loopback_without_proxy() -> Iterator[None]:
    """The SDKs in the tests themselves must not take a proxy to reach loopback."""
    with pytest.MonkeyPatch.context() as patch:
        direct = base_environment()["NO_PROXY"]
        patch.setenv("NO_PROXY", direct)
        patch.setenv("no_proxy", direct)
        yield


@pytest.fixture(scope="session")
def bare_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The services of the local stack without a host, for all tests that bring environments of their own."""
    with Stack(tmp_path_factory.mktemp("stack"), ROOT / "hydration.toml", host=False, keeps=False) as running:
        yield running


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The local stack with the app in it, for the tests of a module: its timers cost time as long as it stands."""
    with Stack(tmp_path_factory.mktemp("stack"), ROOT / "hydration.toml", keeps=False) as running:
        yield running
