"""What the tests with clients of others share: a local Dataverse that serves TLS with a certificate made for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.certificates import write_certificate
from tests.support.local_dataverse import running
from tests.support.microsoft_sdk import Home


@pytest.fixture(scope="session")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a local Dataverse that `requests` trusts."""
    folder = tmp_path_factory.mktemp("clients")
    certificate, key = write_certificate(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        with running(folder / "db", "--tls", str(certificate), str(key)) as url:
            yield url


@pytest.fixture
def home(secure: str) -> Iterator[Home]:
    """An organization that no other test sees."""
    found = Home(secure)
    yield found
    found.close()
