"""A Retry-After with a date is one of the service's clock: it is read by the answer's own Date, in parts of a batch."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from shared.dataverse.batch import Part
from shared.dataverse.client import Client
from shared.dataverse.errors import answered_at
from shared.dataverse.limiter import Limiter
from shared.dataverse.singles import Singles
from shared.dataverse.sizing import Sizing
from shared.errors import ThrottledError

ONE_PART = """--answers
Content-Type: application/http

HTTP/1.1 429 Too Many Requests
Retry-After: Thu, 01 Jan 1970 00:01:40 GMT
Content-Type: application/json

{"error":{"code":"0x80072322","message":""}}
--answers--
"""


class Anybody:
    def token(self, _: str) -> str:
        return "token"

    def renew(self, _: str, rejected: str | None = None) -> str:
        return f"not {rejected}"


def test_a_part_of_a_batch_is_read_by_the_date_of_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def request(*_: Any, **__: Any) -> httpx.Response:
        headers = {"Content-Type": "multipart/mixed; boundary=answers", "Date": "Thu, 01 Jan 1970 00:00:10 GMT"}
        answer = httpx.Response(200, headers=headers, content=ONE_PART.encode())
        answer.elapsed = timedelta()
        return answer

    with Client("https://contoso.invalid", tokens=Anybody(), limiter=Limiter()) as client:
        monkeypatch.setattr(client, "request", request)
        singles = Singles(client, "contacts", lambda: None, Sizing(), "DELETE")
        with pytest.raises(ThrottledError) as raised:
            singles.send([Part("DELETE", "contacts(1)")])
    assert raised.value.retry_after == 90.0, "longer than patience lasts: it is not tried again at once"


def test_an_answer_that_names_no_time_is_read_by_the_machine_s_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1000.0)
    assert [answered_at(date) for date in (None, "", "soon")] == [1000.0] * 3
    assert answered_at("Thu, 01 Jan 1970 00:00:10 GMT") == 10.0
