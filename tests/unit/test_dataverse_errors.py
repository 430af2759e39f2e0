import pytest

from shared.dataverse.errors import Kind, classify, classify_body, seconds_of


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (429, "0x80072322", "Number of requests exceeded the limit of 6000", Kind.THROTTLED),
        (429, "", "", Kind.THROTTLED),
        (429, "0x80071151", "Cannot start the requested operation [EntityCustomization]", Kind.TRANSIENT),
        (500, "0x80044151", "SQL timeout expired.", Kind.TIMEOUT),
        (503, "", "", Kind.TRANSIENT),
        (501, "0x0", "not supported", Kind.CONFIGURATION),
        (404, "0x80040217", "contact With Id = ... Does Not Exist", Kind.MISSING),
        (400, "0x80040217", "Contact With Ids = ... Do Not Exist", Kind.MISSING),
        (404, "0x8006088a", "Resource not found for the segment 'Account'.", Kind.CONFIGURATION),
        (404, "", "<html>", Kind.CONFIGURATION),
        (405, "0x80040227", "associated with another object", Kind.REFERENCED),
        (413, "", "", Kind.OVERSIZED),
        (400, "0x80040265", "The maximum message size quota for incoming messages has been exceeded", Kind.OVERSIZED),
        (400, "0x80044331", "The length of the 'subject' attribute", Kind.ROW),
        (400, "0x80048D19", "Cannot convert the literal 'x' to the expected type 'Edm.Int32'.", Kind.ROW),
        (400, "0x80048d19", "Invalid property 'nope' was found in entity 'contact'.", Kind.CONFIGURATION),
        (400, "0x0", "Could not find a property named 'nope' on type 'contact'.", Kind.CONFIGURATION),
        (400, "0x80048d19", "An undeclared property 'nope' which only has annotations", Kind.CONFIGURATION),
        (401, "", "", Kind.CONFIGURATION),
        (403, "0x80040220", "Principal user is missing prvWriteContact privilege", Kind.CONFIGURATION),
        (302, "", "", Kind.CONFIGURATION),
    ],
)
def test_code_and_status_say_what_a_fault_is(status: int, code: str, message: str, kind: Kind) -> None:
    assert classify(status, code, message).kind is kind


def test_a_missing_privilege_is_named() -> None:
    fault = classify(403, "0x80040220", "Principal user (Id=1, type=8) is missing prvWriteContact privilege (Id=2)")
    assert "Missing: prvWriteContact." in str(fault)
    on = " on OTC=2 for entity 'contact' (LocalizedName='Contact')"
    assert "Missing: prvWriteContact on table contact." in str(classify(403, "0x80040220", fault.message + on))


def test_a_missing_column_is_named() -> None:
    assert "Column: nope." in str(classify(400, "0x80048d19", "Invalid property 'nope' was found"))


def test_a_fault_never_shows_the_service_s_message() -> None:
    fault = classify(400, "0x80048d19", "Cannot convert the literal 'Sandra Secret' to the expected type")
    assert "Sandra" not in str(fault)
    assert "Sandra" in fault.message


@pytest.mark.parametrize("body", [b"", b"<html>gateway</html>", b"[]", b'{"error":"text"}', b"null"])
def test_an_answer_without_dataverse_s_error_is_judged_by_its_status(body: bytes) -> None:
    assert classify_body(503, body).kind is Kind.TRANSIENT


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("17", 17.0),
        ("1.5", 1.5),
        ("0", 1.0),
        ("-3", 1.0),
        ("1000000000", 3600.0),
        ("inf", None),
        ("nan", None),
        ("1e400", None),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thu, 01 Jan 1970 00:00:05 GMT", 1.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0),
        ("soon", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_of_a_second_to_an_hour(header: str | None, seconds: float | None) -> None:
    assert seconds_of(header, now=10.0) == seconds


@pytest.mark.parametrize("value", ["Invalid property 'Anna'", "maximum message size", "prvSecret"])
@pytest.mark.parametrize("code", ["0x80060892", "0x80040265"])
def test_a_customer_s_value_in_a_message_decides_nothing(value: str, code: str) -> None:
    fault = classify(412, code, f"A record that has the attribute values Name: {value} already exists.")
    assert fault.kind is Kind.ROW
    assert value not in str(fault)
    assert "Anna" not in str(fault)


def test_a_body_that_is_too_large_is_so_whatever_its_code() -> None:
    assert classify(413, "0x80040265", "The request body is too large.").kind is Kind.OVERSIZED
