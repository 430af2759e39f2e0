from collections.abc import Iterator

import httpx
import pytest

from shared.dataverse.client import Client
from shared.dataverse.limiter import Limiter


class Anybody:
    def token(self, _: str) -> str:
        return "token"

    def renew(self, _: str, rejected: str | None = None) -> str:
        return f"not {rejected}"


@pytest.fixture
def client() -> Iterator[Client]:
    with Client("https://contoso.invalid", tokens=Anybody(), limiter=Limiter()) as found:
        yield found


def throttled(**headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(429, headers=named, json={"error": {"code": "0x80072322", "message": ""}})


def test_a_date_to_wait_for_is_read_by_the_clock_of_who_named_it(client: Client) -> None:
    answer = throttled(Date="Thu, 01 Jan 1970 00:00:10 GMT", Retry_After="Thu, 01 Jan 1970 00:01:40 GMT")
    assert client.fault(answer).retry_after == 90.0


@pytest.mark.parametrize(("header", "seconds"), [("0", 1.0), ("1000000000", 3600.0), ("inf", None)])
def test_what_an_answer_asks_for_is_believed_within_bounds(client: Client, header: str, seconds: float | None) -> None:
    assert client.fault(throttled(Retry_After=header)).retry_after == seconds
