import pytest

from shared.dataverse.batch import Part, compose, parse


def test_a_batch_has_crlf_line_ends_and_a_closing_boundary() -> None:
    kind, body = compose([Part("PATCH", "contacts(1)", {"If-Match": "*"}, b'{"a":1}'), Part("DELETE", "contacts(2)")])
    boundary = kind.partition('boundary="')[2].rstrip('"').encode()
    assert b"\n" not in body.replace(b"\r\n", b"")
    assert body.count(b"--" + boundary) == 3
    assert body.endswith(b"--" + boundary + b"--\r\n")
    assert b"PATCH /api/data/v9.2/contacts(1) HTTP/1.1\r\nIf-Match: *\r\n\r\n{" in body


@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
def test_answers_come_in_order_with_status_headers_and_body(line_end: str) -> None:
    lines = [
        "--batchresponse_1",
        "Content-Type: application/http",
        "Content-Transfer-Encoding: binary",
        "",
        "HTTP/1.1 204 No Content",
        "OData-Version: 4.0",
        "",
        "",
        "--batchresponse_1",
        "Content-Type: application/http",
        "",
        "HTTP/1.1 404 Not Found",
        "Retry-After: 3",
        "Content-Type: application/json",
        "",
        '{"error":{"code":"0x80040217","message":"gone"}}',
        "--batchresponse_1--",
        "",
    ]
    answers = parse("multipart/mixed; boundary=batchresponse_1", line_end.join(lines).encode())
    assert [answer.status for answer in answers] == [204, 404]
    assert answers[0].body == b""
    assert answers[1].headers["retry-after"] == "3"
    assert answers[1].body.startswith(b'{"error"')


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", b"<html>"),
        ("multipart/mixed; boundary=b", b"--b\r\nContent-Type: application/http\r\n\r\nnot http\r\n--b--"),
    ],
)
def test_what_is_no_batch_is_refused(kind: str, body: bytes) -> None:
    with pytest.raises(ValueError, match="answer to a batch"):
        parse(kind, body)
