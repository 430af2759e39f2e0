"""The very bytes that clients send, recorded from them: the local Dataverse reads each of their ways to say things.

DynamicsWebApi is dynamics-web-api 2.5 (npm), Dataverse API dataverse-api 1.4 (PyPI), Microsoft powerplatform-dataverse-
client 1.1 (PyPI). Addresses, tokens and boundaries are ours.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.local_dataverse import Api, running
from tests.support.spoken import DYNAMICS, get, root, send

KEY = "11111111-1111-1111-1111-111111111111"
OTHER = "22222222-2222-2222-2222-222222222222"
JSON = "Content-Type: application/json; charset=utf-8"
BATCH_OF_REQUESTS = (
    "Accept-Encoding: gzip, deflate",
    "Accept: application/json",
    'Content-Type: multipart/mixed; boundary="batch_7"',
    "OData-Version: 4.0",
    "OData-MaxVersion: 4.0",
    "If-None-Match: null",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("dataverse")) as url:
        yield Api(url)


@pytest.fixture
def api(server: Api) -> Api:
    api = server.another()
    api.seed("contact", f"contactid,firstname,lastname\n{KEY},Ada,Byron\n{OTHER},Max,a b\n")
    api.seed("account", f"accountid,name\n{KEY},Acme\n")
    return api


def contact(api: Api, key: str = KEY) -> dict[str, Any]:
    return api.exported("contact")[key]


# DynamicsWebApi


def test_the_metadata_document_is_xml(api: Api) -> None:
    answer = send(api, "GET /api/data/v9.2/$metadata", "Accept: application/xml", *DYNAMICS[1:])
    assert (answer.status, answer.headers["content-type"]) == (200, "application/xml")
    assert b'<EntitySet Name="contacts" EntityType="Microsoft.Dynamics.CRM.contact">' in answer.body


def test_fetchxml_is_percent_encoded_and_asks_for_all_annotations(api: Api) -> None:
    entity = '<entity name="contact"><attribute name="lastname"/></entity>'
    xml = f'<fetch page="1" mapping="logical" count="1">{entity}</fetch>'
    answer = get(api, f"contacts?fetchXml={quote(xml, safe='')}", 'Prefer: odata.include-annotations="*"')
    assert answer.json["value"][0]["lastname"] == "Byron"
    assert answer.headers["preference-applied"] == 'odata.include-annotations="*"'
    assert answer.json["@Microsoft.Dynamics.CRM.morerecords"] is True
    assert answer.json["@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"].startswith('<cookie pagenumber="2"')


def test_rows_are_counted_by_a_path_and_by_an_option(api: Api) -> None:
    assert get(api, "contacts/$count").body == b"2"
    answer = get(api, "contacts?$filter=lastname%20eq%20%27a%20b%27&$count=true")
    assert answer.json["@odata.count"] == 1


def test_one_property_is_put(api: Api) -> None:
    line = f"PUT /api/data/v9.2/contacts({KEY})/firstname"
    assert send(api, line, JSON, *DYNAMICS, body='{"value":"D"}').status == 204
    assert contact(api)["firstname"] == "D"


def test_one_property_of_a_row_that_is_not_there_is_not_found(api: Api) -> None:
    answer = send(api, f"PUT /api/data/v9.2/contacts({uuid.uuid4()})/firstname", JSON, body='{"value":"D"}')
    assert (answer.status, answer.json["error"]["code"]) == (404, "0x80040217")


def test_references_are_posted_deleted_and_put_by_absolute_addresses(api: Api) -> None:
    collection = f"/api/data/v9.2/accounts({KEY})/contact_customer_accounts"
    body = json.dumps({"@odata.id": f"{root(api)}contacts({KEY})"})
    assert send(api, f"POST {collection}/$ref", JSON, *DYNAMICS, body=body).status == 204
    assert contact(api)["_parentcustomerid_value"] == KEY
    assert send(api, f"DELETE {collection}({KEY})/$ref", *DYNAMICS).status == 204
    assert contact(api)["_parentcustomerid_value"] is None
    single = f"/api/data/v9.2/contacts({KEY})/parentcustomerid_account/$ref"
    body = json.dumps({"@odata.id": f"{root(api)}accounts({KEY})"})
    assert send(api, f"PUT {single}", JSON, *DYNAMICS, body=body).status == 204
    assert contact(api)["_parentcustomerid_value"] == KEY


def test_an_update_says_if_match_any(api: Api) -> None:
    line = "PATCH /api/data/v9.2/contacts({})"
    headers = (JSON, "If-Match: *", *DYNAMICS)
    assert send(api, line.format(KEY), *headers, body='{"firstname":"C"}').status == 204
    missing = send(api, line.format(uuid.uuid4()), *headers, body='{"firstname":"C"}')
    assert (missing.status, missing.json["error"]["code"]) == (404, "0x80040217")


def test_a_batch_with_an_unquoted_boundary_begins_with_a_line_end(api: Api) -> None:
    body = (
        "\r\n--dwa_batch_7\r\nContent-Type: multipart/mixed;boundary=changeset_8\r\n\r\n"
        "--changeset_8\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: 1\r\n\r\n"
        f'POST {root(api)}contacts HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{{"lastname":"b1"}}\r\n\r\n'
        "--changeset_8\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
        "Content-ID: 100001\r\n\r\nPATCH $1 HTTP/1.1\r\nContent-Type: application/json\r\nIf-Match: *\r\n\r\n"
        '{"firstname":"x"}\r\n\r\n--changeset_8--\r\n\r\n'
        "--dwa_batch_7\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        f"GET {root(api)}contacts?$select=firstname&$filter=lastname%20eq%20'b1' HTTP/1.1\r\n"
        "Accept: application/json\r\n\r\n--dwa_batch_7--\r\n"
    )
    kind = "Content-Type: multipart/mixed;boundary=dwa_batch_7"
    answer = send(api, "POST /api/data/v9.2/$batch", kind, *DYNAMICS, body=body)
    assert answer.status == 200
    assert answer.body.count(b"HTTP/1.1 204") == 2
    assert b'"firstname":"x"' in answer.body


# Dataverse API


def test_a_batch_with_line_feeds_alone_is_read_when_it_ends_with_two(api: Api) -> None:
    one = (
        "--batch_7\nContent-Type: application/http\nContent-Transfer-Encoding: binary\n\n"
        f"POST {root(api)}contacts HTTP/1.1\nContent-Type: application/json; type=entry\n\n\n"
        '{{"lastname": "{}"}}\n\n'
    )
    body = one.format("b1") + one.format("b2") + "\n--batch_7--\n\n"
    answer = send(api, "POST /api/data/v9.2/$batch", *BATCH_OF_REQUESTS, body=body)
    assert answer.status == 200, answer.body
    assert answer.body.count(b"HTTP/1.1 204") == 2
    assert {"b1", "b2"} < {row["lastname"] for row in api.exported("contact").values()}
    refused = send(api, "POST /api/data/v9.2/$batch", *BATCH_OF_REQUESTS, body=body.removesuffix("\n"))
    assert (refused.status, refused.json["error"]["code"]) == (400, "0x80048d19")


def test_deletes_in_a_batch_have_a_content_type_and_no_content(api: Api) -> None:
    body = (
        "--batch_7\nContent-Type: application/http\nContent-Transfer-Encoding: binary\n\n"
        f"DELETE {root(api)}contacts({KEY}) HTTP/1.1\nContent-Type: application/json\n\n\n\n\n\n--batch_7--\n\n"
    )
    assert send(api, "POST /api/data/v9.2/$batch", *BATCH_OF_REQUESTS, body=body).status == 200
    assert list(api.exported("contact")) == [OTHER]


@pytest.mark.parametrize("header", ["If-None-Match: null", "If-Match: null"])
def test_null_as_an_etag_asks_for_nothing(api: Api, header: str) -> None:
    assert get(api, f"contacts({KEY})?$select=firstname", header).status == 200
    line = f"PATCH /api/data/v9.2/contacts({KEY})"
    assert send(api, line, JSON, header, body='{"firstname":"C"}').status == 204


def test_the_messages_of_a_table_are_asked_for_with_their_names(api: Api) -> None:
    options = (
        "%24select=sdkmessagefilterid&%24expand=sdkmessageid%28%24select%3Dname%29&%24filter=%28sdkmessageid%2Fname+eq+"
        "%27CreateMultiple%27+or+sdkmessageid%2Fname+eq+%27UpdateMultiple%27%29+and+primaryobjecttypecode+eq+"
    )
    rows = get(api, f"sdkmessagefilters?{options}%27contact%27").json["value"]
    assert {row["sdkmessageid"]["name"] for row in rows} == {"CreateMultiple", "UpdateMultiple"}
    assert get(api, f"sdkmessagefilters?{options}%27solutioncomponent%27").json["value"] == []


def test_relationships_and_keys_of_a_table_are_asked_for_on_both_sides(api: Api) -> None:
    ends = {
        part: {row["SchemaName"] for row in get(api, f"EntityDefinitions(LogicalName='lead')/{part}").json["value"]}
        for part in ("OneToManyRelationships", "ManyToOneRelationships")
    }
    assert "contact_originating_lead" in ends["OneToManyRelationships"] - ends["ManyToOneRelationships"]
    assert "lead_parent_account" in ends["ManyToOneRelationships"] - ends["OneToManyRelationships"]
    assert (
        get(api, "EntityDefinitions(LogicalName='lead')/Keys?%24select=SchemaName%2CKeyAttributes").json["value"] == []
    )


# Microsoft


def test_a_table_is_looked_up_with_plus_signs_for_spaces(api: Api) -> None:
    names = "%24select=LogicalName%2CEntitySetName%2CPrimaryIdAttribute"
    answer = get(api, f"EntityDefinitions?{names}&%24filter=LogicalName+eq+%27contact%27", "Consistency: Strong")
    (found,) = answer.json["value"]
    assert (found["EntitySetName"], found["PrimaryIdAttribute"]) == ("contacts", "contactid")


def test_the_choices_of_a_table_are_asked_for_with_their_options(api: Api) -> None:
    cast = "Microsoft.Dynamics.CRM.PicklistAttributeMetadata"
    path = f"EntityDefinitions(LogicalName='contact')/Attributes/{cast}"
    answer = get(api, f"{path}?$select=LogicalName&$expand=OptionSet($select=Options)")
    rows = {row["LogicalName"]: row for row in answer.json["value"]}
    assert [one["Value"] for one in rows["gendercode"]["OptionSet"]["Options"]] == [1, 2]


def test_the_filter_of_a_request_in_a_batch_has_its_spaces_as_they_are(api: Api) -> None:
    body = (
        "--batch_7\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        f"GET {root(api)}contacts?$select=firstname&$filter=lastname eq 'a b' HTTP/1.1\r\n\r\n\r\n--batch_7--\r\n"
    )
    answer = send(api, "POST /api/data/v9.2/$batch", *BATCH_OF_REQUESTS, body=body)
    assert b'"firstname":"Max"' in answer.body


def test_a_delete_says_if_match_any(api: Api) -> None:
    assert send(api, f"DELETE /api/data/v9.2/contacts({KEY})", "If-Match: *", *DYNAMICS).status == 204
    assert list(api.exported("contact")) == [OTHER]


def test_bulk_delete_wants_all_its_parameters(api: Api) -> None:
    wanted = {"JobName": "x", "QuerySet": [{"EntityName": "contact"}]}
    answer = send(api, "POST /api/data/v9.2/BulkDelete", JSON, body=json.dumps(wanted))
    assert (answer.status, answer.json["error"]["code"]) == (400, "0x80040203")
    assert len(api.exported("contact")) == 2


def test_bulk_delete_by_a_filter_within_a_filter(api: Api) -> None:
    condition = {
        "AttributeName": "firstname",
        "Operator": "BeginsWith",
        "Values": [{"Value": "M", "Type": "System.String"}],
    }
    unset = {"AttributeName": "jobtitle", "Operator": "Null", "Values": []}
    inner = {"FilterOperator": "Or", "Conditions": [condition]}
    query = {"EntityName": "contact", "Criteria": {"FilterOperator": "And", "Conditions": [unset], "Filters": [inner]}}
    rest = {"SendEmailNotification": False, "ToRecipients": [], "CCRecipients": [], "RecurrencePattern": ""}
    body = {"JobName": "x", "QuerySet": [query], "StartDateTime": "2024-01-01T00:00:00Z", **rest}
    assert send(api, "POST /api/data/v9.2/BulkDelete", JSON, body=json.dumps(body)).status == 200
    assert list(api.exported("contact")) == [KEY]
    later = {**body, "StartDateTime": "2999-01-01T00:00:00Z"}
    assert send(api, "POST /api/data/v9.2/BulkDelete", JSON, body=json.dumps(later)).status == 501
