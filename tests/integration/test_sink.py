"""The discarding sink of the benchmarks answers what clients expect of Dataverse."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench import clients, rows, servers
from shared.dataverse.bulk import Writer
from shared.dataverse.client import Client
from shared.dataverse.limiter import Limiter
from shared.dataverse.sizing import Sizes

SENT = rows.rows(3)


@pytest.fixture(scope="module")
def target() -> Iterator[clients.Target]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            patch.setenv(name, "")  # the sink's certificate is trusted here alone
        with servers.sink() as server:
            yield clients.Target(server.url, "token")


@pytest.fixture
def client(target: clients.Target) -> Iterator[Client]:
    with Client(target.url, tokens=clients.Tokens(target.token), limiter=Limiter(2)) as opened:
        yield opened


def writer(client: Client) -> Writer:
    return Writer(client, rows.TABLE, Sizes(), before=lambda: None)


def test_it_takes_bulk_calls(client: Client) -> None:
    assert writer(client).upsert([row.record for row in SENT], key=rows.KEY) == []


def test_it_answers_every_part_of_a_batch(client: Client) -> None:
    assert writer(client).delete([row.id for row in SENT]) == []


def test_it_says_who_asks(client: Client) -> None:
    assert client.who_am_i().dop_hint == 8


@pytest.mark.parametrize("contender", ["OURS", "SDK", "PATCHES", "RAW"])
def test_every_contender_gets_its_answers(contender: str, target: clients.Target) -> None:
    found = clients.send(getattr(clients, contender), target, [SENT], 2, times=2, warm=rows.rows(2, seed=2))
    assert (found.rows, found.requests) == (6, 2)
