"""The client over real sockets, against a server that answers by script."""

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from shared.dataverse import bulk
from shared.dataverse.client import Client
from shared.dataverse.errors import AmbiguousError
from shared.dataverse.limiter import Limiter
from shared.dataverse.patience import Patience
from shared.dataverse.sizing import Sizes
from shared.errors import ClaimLostError, ConfigurationError, ThrottledError, TransientError

URL = "https://contoso.crm.dynamics.com"
WHO = {"OrganizationId": "0A" * 16, "UserId": "0B" * 16}
CONTACTS = bulk.TableName("contacts", "contact")


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False  # the connection ends in the middle of the answer
    reset: bool = False  # ... or before it
    delay: float = 0.0


def refusal(status: int, code: str = "0x0", message: str = "", **headers: str) -> Answer:
    return Answer(status, {"error": {"code": code, "message": message}}, headers)


@dataclass
class Script:
    """Answers in turn, the last one for ever; remembers what was asked."""

    answers: list[Answer] = field(default_factory=lambda: [Answer(body=WHO)])
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    address: str = ""
    connections: set[tuple[str, int]] = field(default_factory=set)

    def next(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            script.asked.append((self.command, self.path, headers, body))
            script.connections.add(self.client_address)
            reply = script.next()
            time.sleep(reply.delay)
            if reply.reset:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            self.reply(reply)

        do_GET = do_POST = answer  # noqa: N815 (names of http.server)

        def reply(self, answer: Answer) -> None:
            text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
            content = b"" if answer.status == 204 else text.encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(content) + (10 if answer.cut else 0)))
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = answer.cut

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script.address = f"http://127.0.0.1:{server.server_port}/{{host}}"
    threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()
    yield script
    server.shutdown()
    server.server_close()


class Tokens:
    def __init__(self) -> None:
        self.renewed = 0

    def token(self, resource: str) -> str:
        assert resource == URL
        return f"token-{self.renewed}"

    def renew(self, resource: str, rejected: str | None = None) -> str:
        assert (resource, rejected) == (URL, f"token-{self.renewed}")
        self.renewed += 1
        return f"token-{self.renewed}"


class Anybody:
    """Tokens for any organization."""

    def token(self, _: str) -> str:
        return "token"

    def renew(self, _: str, rejected: str | None = None) -> str:
        raise AssertionError(rejected)


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def client(script: Script, pauses: list[float]) -> Iterator[Client]:
    patience = Patience(attempts=4, sleep=pauses.append)
    limiter = Limiter(4, wait_seconds=2.0)
    with Client(
        URL, address=script.address, tokens=Tokens(), limiter=limiter, timeout=0.5, patience=patience
    ) as client:
        yield client


def test_the_host_is_part_of_a_local_address(client: Client, script: Script) -> None:
    client.request("GET", "WhoAmI")
    assert script.asked[0][1] == "/contoso.crm.dynamics.com/api/data/v9.2/WhoAmI"
    assert script.asked[0][2]["authorization"] == "Bearer token-0"


def test_who_am_i_starts_the_limiter_at_the_recommended_parallelism(client: Client, script: Script) -> None:
    script.answers = [Answer(body=WHO, headers={"x-ms-dop-hint": "9"})]
    identity = client.who_am_i()
    assert (identity.organization_id, identity.user_id, identity.dop_hint) == ("0a" * 16, "0b" * 16, 9)
    assert client.limiter.at_once == 2  # a quarter, and more with every round of answers


def test_the_proxy_of_the_environment_is_used_except_for_a_local_address(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", script.address.removesuffix("/{host}"))
    monkeypatch.setenv("no_proxy", "there.invalid")
    with Client("http://contoso.invalid", tokens=Anybody(), limiter=Limiter()) as client:
        client.request("GET", "WhoAmI")
    assert script.asked[0][1] == "http://contoso.invalid/api/data/v9.2/WhoAmI"
    with Client("http://there.invalid", tokens=Anybody(), limiter=Limiter()) as client, pytest.raises(TransientError):
        client.request("GET", "WhoAmI")
    with Client("http://there.invalid", address=script.address, tokens=Anybody(), limiter=Limiter()) as client:
        client.request("GET", "WhoAmI")
    assert script.asked[1][1] == "/there.invalid/api/data/v9.2/WhoAmI"


def test_tokens_and_rows_are_not_logged(client: Client, script: Script, caplog: pytest.LogCaptureFixture) -> None:
    throttled = refusal(429, "0x80072322", "Marker exceeded", Retry_After="0")
    script.answers = [throttled, refusal(401), refusal(503, message="Marker"), Answer(body=WHO)]
    with caplog.at_level(logging.DEBUG):
        for _ in range(2):
            with pytest.raises(TransientError):
                client.request("POST", "contacts(key='Marker')?x=Marker", json={"lastname": "Marker"})
        client.request("POST", "contacts(key='Marker')", json={"lastname": "Marker"})
    logged = "".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "dataverse.throttled" in logged
    assert "Marker" not in logged
    assert "token-" not in logged


def test_cookies_are_not_sent_back(client: Client, script: Script) -> None:
    script.answers = [Answer(body=WHO, headers={"Set-Cookie": "ARRAffinity=server1; Path=/"})]
    client.request("GET", "WhoAmI")
    client.request("GET", "WhoAmI")
    assert "cookie" not in script.asked[1][2]
    assert len(script.connections) == 1


def test_a_401_renews_the_token_once(client: Client, script: Script) -> None:
    script.answers = [refusal(401), Answer(body=WHO)]
    assert client.request("GET", "WhoAmI").status_code == 200
    assert [asked[2]["authorization"] for asked in script.asked] == ["Bearer token-0", "Bearer token-1"]


def test_a_second_401_is_a_matter_of_configuration(client: Client, script: Script) -> None:
    script.answers = [refusal(401)]
    with pytest.raises(ConfigurationError, match="application user"):
        client.request("GET", "WhoAmI")
    assert len(script.asked) == 2


def test_nothing_is_sent_before_retry_after(client: Client, script: Script) -> None:
    script.answers = [refusal(429, "0x80072322", Retry_After="1"), Answer(body=WHO)]
    with pytest.raises(ThrottledError) as raised:
        client.request("GET", "WhoAmI")
    assert (raised.value.retry_after, raised.value.code) == (1.0, "0x80072322")
    assert client.limiter.at_once == 2
    start = time.monotonic()
    client.request("GET", "WhoAmI")
    assert time.monotonic() - start > 0.9


def test_a_long_retry_after_comes_back_without_another_request(client: Client, script: Script) -> None:
    script.answers = [refusal(429, "0x80072321", Retry_After="240")]
    for _ in range(3):
        with pytest.raises(ThrottledError) as raised:
            client.request("GET", "WhoAmI")
        assert raised.value.retry_after > 239
    assert len(script.asked) == 1


def test_a_running_customization_is_no_throttling(client: Client, script: Script) -> None:
    script.answers = [refusal(429, "0x80071151", "Cannot start the requested operation")]
    with pytest.raises(TransientError) as raised:
        client.request("POST", "EntityDefinitions", json={})
    assert not isinstance(raised.value, ThrottledError)
    assert client.limiter.at_once == 4
    assert client.limiter.hold_seconds() == 0


@pytest.mark.parametrize("answer", [Answer(reset=True), Answer(body=WHO, cut=True), Answer(body=WHO, delay=0.8)])
def test_a_lost_answer_is_ambiguous(client: Client, script: Script, answer: Answer) -> None:
    script.answers = [answer]
    with pytest.raises(AmbiguousError) as raised:
        client.request("POST", "contacts", json={"lastname": "Sandra"})
    assert raised.value.timed_out == (answer.delay > 0)
    assert "Sandra" not in str(raised.value)


def test_what_was_never_sent_is_not_ambiguous() -> None:
    with Client(URL, address="http://127.0.0.1:9", tokens=Tokens(), limiter=Limiter()) as client:
        with pytest.raises(TransientError) as raised:
            client.request("GET", "WhoAmI")
        assert not isinstance(raised.value, AmbiguousError)


def test_before_is_called_for_every_sending_and_can_stop_it(client: Client, script: Script) -> None:
    calls: list[int] = []

    def before() -> None:
        calls.append(len(script.asked))
        if len(calls) == 2:
            raise ClaimLostError("gone")

    script.answers = [refusal(401)]
    with pytest.raises(ClaimLostError):
        client.request("GET", "WhoAmI", before=before)
    assert calls == [0, 1]
    assert len(script.asked) == 1


def test_before_is_called_again_after_a_wait_that_came_up_meanwhile(client: Client) -> None:
    calls: list[float] = []

    def before() -> None:
        calls.append(time.monotonic())
        if len(calls) == 1:
            client.limiter.hold(0.2)

    client.request("GET", "WhoAmI", before=before)
    assert calls[1] - calls[0] >= 0.19


def test_a_refused_bypass_is_done_without_and_remembered(client: Client, script: Script) -> None:
    denied = refusal(403, "0x80040220", "Principal user is missing prvBypassCustomBusinessLogic privilege")
    script.answers = [denied, Answer(status=204)]
    for _ in range(2):
        assert client.request("POST", "contacts", json={}, bypass=True).status_code == 204
    assert ["mscrm.bypassbusinesslogicexecution" in asked[2] for asked in script.asked] == [True, False, False]
    assert not client.bypass_in_force


def test_another_missing_privilege_names_itself_and_the_user(client: Client, script: Script) -> None:
    denied = refusal(403, "0x80040220", "Principal user (Id=1) is missing prvWriteContact privilege")
    script.answers = [Answer(body=WHO), denied]
    client.who_am_i()
    with pytest.raises(ConfigurationError) as raised:
        client.request("POST", "contacts", json={}, bypass=True)
    for part in ("prvWriteContact", "contacts", "0b" * 16):
        assert part in str(raised.value)
    assert client.bypass_in_force


def test_reading_is_tried_again(client: Client, script: Script, pauses: list[float]) -> None:
    timeout = refusal(500, "0x80044151", "SQL timeout expired.")
    script.answers = [refusal(503), Answer(reset=True), timeout, Answer(body=WHO)]
    assert client.get("WhoAmI") == WHO
    assert len(pauses) == 3


def test_fifty_requests_at_once_use_small_pools(script: Script) -> None:
    script.answers = [Answer(body=WHO, delay=0.2)]
    with Client(URL, address=script.address, tokens=Tokens(), limiter=Limiter(20), timeout=10) as client:
        threads = [threading.Thread(target=client.request, args=("GET", "WhoAmI")) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(script.asked) == 40
    assert 8 < len(script.connections) <= 24


def records(count: int) -> list[bytes]:
    return [
        b'{"@odata.type":"Microsoft.Dynamics.CRM.contact","contactid":"%08x-0000-4000-8000-000000000000","n":%d}'
        % (i, i)
        for i in range(count)
    ]


def upsert(client: Client, count: int) -> list[bulk.RowFault]:
    return bulk.Writer(client, CONTACTS, Sizes(), lambda: None).upsert(records(count), key="contactid")


def sent(script: Script) -> list[int]:
    """Records of each bulk call."""
    return [len(json.loads(body)["Targets"]) for _, path, _, body in script.asked if "Multiple" in path]


def test_the_body_of_a_bulk_call_is_the_records_unchanged(client: Client, script: Script) -> None:
    script.answers = [Answer(status=204)]
    assert upsert(client, 3) == []
    _, path, headers, body = script.asked[0]
    assert path.endswith("/contacts/Microsoft.Dynamics.CRM.UpsertMultiple")
    assert body == b'{"Targets":[' + b",".join(records(3)) + b"]}"
    assert headers["mscrm.suppresscallbackregistrationexpanderjob"] == "true"


def test_a_page_of_a_proxy_is_no_success(client: Client, script: Script) -> None:
    script.answers = [Answer(200, "<html>Please sign in</html>", {"Content-Type": "text/html"})]
    with pytest.raises(AmbiguousError, match="proxy"):
        upsert(client, 3)


def test_a_page_in_place_of_an_answer_is_told_and_may_pass(client: Client, script: Script) -> None:
    script.answers = [Answer(200, "<html>Please sign in</html>", {"Content-Type": "text/html"})]
    with pytest.raises(TransientError, match="not JSON"):
        client.get("contacts")


def test_nothing_is_sent_for_nothing(client: Client, script: Script) -> None:
    assert upsert(client, 0) == []
    assert bulk.Writer(client, CONTACTS, Sizes(), lambda: None).delete([]) == []
    assert script.asked == []


def test_two_records_of_one_row_are_a_mistake_of_the_caller(client: Client) -> None:
    with pytest.raises(ValueError, match="two records"):
        bulk.Writer(client, CONTACTS, Sizes(), lambda: None).upsert(records(2) + records(1), key="contactid")


@pytest.mark.parametrize(
    ("first", "sizes"),
    [
        (refusal(413), [8, 4, 4]),
        (refusal(500, "0x80044151", "SQL timeout expired."), [8, 4, 4]),
        (Answer(delay=0.7, status=204), [8, 4, 4]),
    ],
)
def test_too_much_at_once_is_halved(client: Client, script: Script, first: Answer, sizes: list[int]) -> None:
    script.answers = [first, Answer(status=204)]
    assert upsert(client, 8) == []
    assert sent(script) == sizes


def test_a_row_that_is_too_large_alone_is_rejected(client: Client, script: Script) -> None:
    script.answers = [refusal(413)]
    assert [fault.kind for fault in upsert(client, 1)] == ["rejected"]


def test_halving_for_time_ends(client: Client, script: Script) -> None:
    script.answers = [refusal(500, "0x80044151", "SQL timeout expired.")]
    with pytest.raises(TransientError):
        upsert(client, 64)
    assert sent(script) == [64, 32, 16, 8, 8, 8, 8]


def test_passing_faults_are_repeated_whole(client: Client, script: Script, pauses: list[float]) -> None:
    script.answers = [refusal(503), Answer(reset=True), refusal(500, "0x80044150", "deadlock"), Answer(status=204)]
    assert upsert(client, 8) == []
    assert sent(script) == [8, 8, 8, 8]
    assert len(pauses) == 3


def test_giving_up_after_a_lost_answer_leaves_the_rows_uncertain(client: Client, script: Script) -> None:
    script.answers = [Answer(reset=True), refusal(503)]
    with pytest.raises(AmbiguousError):
        upsert(client, 8)


def test_a_batch_that_is_answered_in_part_is_completed(client: Client, script: Script) -> None:
    no = refusal(400, "0x80040265", "Our plug-in says no.")
    halves = [no, Answer(status=204)]
    script.answers = [no, *halves, multipart([204, 429, 204], "Retry-After: 1"), multipart([400])]
    faults = upsert(client, 6)
    assert [(fault.index, fault.kind, fault.code) for fault in faults] == [(1, "rejected", "0x80040265")]
    assert len(script.asked) == 5


GONE = "account With Id = 99999999-0000-4000-8000-000000000000 Does Not Exist"


def delete(client: Client, count: int) -> list[bulk.RowFault]:
    ids = [f"{i:08x}-0000-4000-8000-000000000000" for i in range(count)]
    return bulk.Writer(client, CONTACTS, Sizes(), lambda: None).delete(ids)


def test_a_delete_that_fails_for_another_missing_row_has_not_deleted(client: Client, script: Script) -> None:
    """A plug-in that looks for a row in vain answers as Dataverse does for the row itself."""
    body = json.dumps({"error": {"code": "0x80040217", "message": GONE}})
    script.answers = [multipart([404], body=body)]
    assert [(fault.index, fault.kind) for fault in delete(client, 1)] == [(0, "rejected")]


def test_a_delete_of_a_row_that_is_gone_is_done(client: Client, script: Script) -> None:
    own = GONE.replace("99999999", "00000000")
    script.answers = [multipart([404], body=json.dumps({"error": {"code": "0x80040217", "message": own}}))]
    assert delete(client, 1) == []


@pytest.mark.parametrize("late", [Answer(delay=0.7, status=204), refusal(504), refusal(408)])
def test_a_batch_that_takes_too_long_is_halved(client: Client, script: Script, late: Answer) -> None:
    script.answers = [late, multipart([204, 204]), multipart([204, 204])]
    assert delete(client, 4) == []
    assert [body.count(b"DELETE ") for _, _, _, body in script.asked] == [4, 2, 2]


def test_a_gateway_that_gives_up_each_time_is_no_verdict_on_a_row(client: Client, script: Script) -> None:
    script.answers = [refusal(408)]
    with pytest.raises(AmbiguousError):
        delete(client, 4)


def test_a_throttled_part_counts_beside_one_that_failed(script: Script) -> None:
    script.answers = [multipart([500, 429])]
    limiter = Limiter(8, wait_seconds=1.0)
    with (
        Client(URL, address=script.address, tokens=Tokens(), limiter=limiter, timeout=5) as client,
        pytest.raises(ThrottledError),
    ):
        delete(client, 2)
    assert limiter.hold_seconds() > 3


def test_a_gateway_that_waited_in_vain_halves_a_bulk_call(client: Client, script: Script) -> None:
    script.answers = [refusal(504), Answer(status=204)]
    assert upsert(client, 8) == []
    assert sent(script) == [8, 4, 4]


def test_rows_that_take_long_behind_a_refusal_do_not_stay_too_many(client: Client, script: Script) -> None:
    """The rest of a refused call takes too long: the chunk comes again, with smaller calls."""
    no = refusal(400, "0x80044331", "The length of the 'n' attribute exceeded the maximum allowed length of '0'.")
    sizes = Sizes()
    bad = records(8)[3].replace(b'"n":3', b'"n":"x"')
    script.answers = [no, Answer(delay=0.7, status=204)]
    with pytest.raises(AmbiguousError):
        bulk.Writer(client, CONTACTS, sizes, lambda: None).upsert([*records(3), bad], key="contactid")
    assert sizes.bulk("contacts", bulk.UPSERT).rows() < 4


SLOW = json.dumps({"error": {"code": "0x80044151", "message": "SQL timeout expired."}})


def final(client: Client) -> bulk.Writer:
    return bulk.Writer(client, CONTACTS, Sizes(), lambda: None, final=True)


def test_a_row_that_always_fails_for_the_moment_is_refused_in_the_end(client: Client, script: Script) -> None:
    script.answers = [*[multipart([204, 404, 204], body=SLOW)], *[multipart([404], body=SLOW)] * 7, Answer(body=WHO)]
    faults = final(client).upsert(records(3), key="contactid")
    assert [(fault.index, fault.kind, fault.uncertain) for fault in faults] == [(1, "rejected", True)]
    assert [path.rpartition("/")[2] for _, path, _, _ in script.asked] == ["$batch"] * 8 + ["WhoAmI"]


def test_a_row_that_outlasts_the_time_limit_is_refused_in_the_end(client: Client, script: Script) -> None:
    late, done = refusal(504), multipart([204])
    script.answers = [*[late] * 7, *[late] * 4, done]  # halves of the twenty, then each by itself
    faults = final(client).upsert(records(20), key="contactid")
    assert [(fault.index, fault.kind, fault.uncertain) for fault in faults] == [(0, "rejected", True)]


def test_an_outage_amid_a_call_refuses_no_row(client: Client, script: Script) -> None:
    script.answers = [multipart([204, 204, *[404] * 8], body=SLOW), refusal(500)]
    with pytest.raises(TransientError):
        final(client).upsert(records(10), key="contactid")


def test_what_was_tried_often_is_sent_by_few(client: Client) -> None:
    assert final(client).reach(records(100), 10, bulk.UPSERT) == 30


def test_what_only_failed_for_the_moment_is_no_reject(client: Client, script: Script) -> None:
    script.answers = [multipart([204, 404], body=SLOW), multipart([204])]
    assert final(client).upsert(records(2), key="contactid") == []


def test_a_service_that_fails_for_the_moment_refuses_no_row(client: Client, script: Script) -> None:
    script.answers = [multipart([404, 404], body=SLOW)]
    with pytest.raises(TransientError):
        final(client).upsert(records(2), key="contactid")


def test_a_busy_service_is_not_asked_before_its_retry_after(
    client: Client, script: Script, pauses: list[float]
) -> None:
    script.answers = [refusal(503, "0x0", Retry_After="1"), Answer(status=204)]
    began = time.monotonic()
    assert upsert(client, 1) == []
    assert time.monotonic() - began >= 1
    assert pauses == []


def test_a_batch_whose_parts_are_throttled_is_noted_once_for_the_longest(script: Script) -> None:
    told: list[float] = []

    class Others:
        def tell(self, seconds: float) -> None:
            told.append(seconds)

        def hear(self) -> None:
            return None

    script.answers = [multipart([429] * 20, "Retry-After: 90")]
    limiter = Limiter(8, wait_seconds=1.0, others=Others())
    with (
        Client(URL, address=script.address, tokens=Tokens(), limiter=limiter, timeout=5) as client,
        pytest.raises(ThrottledError) as raised,
    ):
        delete(client, 20)
    assert told == [90]
    assert raised.value.retry_after == pytest.approx(90, abs=1)
    assert len(script.asked) == 1


REFUSED = json.dumps({"error": {"code": "0x80040265", "message": "Our plug-in says no."}})


def multipart(statuses: list[int], header: str = "X: y", body: str = REFUSED) -> Answer:
    lines = []
    for status in statuses:
        lines += ["--b", "Content-Type: application/http", "", f"HTTP/1.1 {status} X", header, ""]
        lines.append("" if status == 204 else body if status in {400, 404} else "{}")
    return Answer(200, "\r\n".join([*lines, "--b--"]), {"Content-Type": "multipart/mixed; boundary=b"})
