"""The local Dataverse: sign-in, the laboratory beside the API, and the process itself."""

from __future__ import annotations

import datetime as dt
import json
import ssl
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.support.local_dataverse import HEADER, HOST, Api, close, running, start, stop, table


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("dataverse"), "--client", "app:secret") as url:
        yield Api(url)


@pytest.fixture
def api(server: Api) -> Api:
    return server.another()


def guid() -> str:
    return str(uuid.uuid4())


# Sign-in


def test_every_request_needs_a_valid_token_of_its_organization(server: Api) -> None:
    other = server.another()
    for headers in ({}, {"Authorization": "Bearer abc"}, {"Authorization": f"Bearer {other.token}"}):
        answer = httpx.get(server.root + "WhoAmI", headers=headers, trust_env=False)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer authorization_uri=http")
        assert f"resource_id=https://{HOST}/" in answer.headers["WWW-Authenticate"]


def test_managed_identity_wants_its_header_and_tells_when_the_token_expires(server: Api) -> None:
    options = {"api-version": "2019-08-01", "resource": f"https://{HOST}"}
    assert server.http.get("/msi/token", params=options).status_code == 401
    assert server.http.get("/msi/token", params=options, headers={"X-IDENTITY-HEADER": "other"}).status_code == 401
    answer = server.http.get("/msi/token", params=options, headers={"X-IDENTITY-HEADER": HEADER}).json()
    assert set(answer) == {"access_token", "expires_on", "resource", "token_type", "client_id"}
    assert time.time() + 3500 < int(answer["expires_on"]) <= time.time() + 3600
    assert answer["resource"] == f"https://{HOST}"


def test_client_credentials_by_secret(server: Api) -> None:
    form = {"grant_type": "client_credentials", "client_id": "app", "scope": f"https://{HOST}/.default"}
    refused = server.http.post("/tenant/oauth2/v2.0/token", data={**form, "client_secret": "wrong"})
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    answer = server.http.post("/tenant/oauth2/v2.0/token", data={**form, "client_secret": "secret"}).json()
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    assert httpx.get(server.root + "WhoAmI", headers=headers, trust_env=False).status_code == 200
    configuration = server.http.get("/tenant/v2.0/.well-known/openid-configuration").json()
    assert configuration["token_endpoint"] == f"{server.url}/tenant/oauth2/v2.0/token"


def test_tokens_expire_and_can_be_revoked(tmp_path: Path) -> None:
    with running(tmp_path, "--token-lifetime", "0.4") as url:
        api = Api(url)
        assert api.request("GET", "WhoAmI").status_code == 200
        time.sleep(0.5)
        assert api.request("GET", "WhoAmI").status_code == 401
    with running(tmp_path) as url:
        api = Api(url)
        api.http.post("/local/tokens/revoke").raise_for_status()
        assert api.request("GET", "WhoAmI").status_code == 401


def test_who_am_i_names_organization_and_user_and_recommends_a_parallelism(api: Api) -> None:
    answer = api.expect(200, "GET", "WhoAmI")
    assert int(answer.headers["x-ms-dop-hint"]) > 0
    assert answer.json()["OrganizationId"] == str(uuid.uuid5(uuid.NAMESPACE_DNS, api.host))
    second = Api(api.url, api.host, client_id="another-app")
    assert second.get("WhoAmI")["UserId"] != answer.json()["UserId"]
    assert second.get("WhoAmI()")["OrganizationId"] == answer.json()["OrganizationId"]


# The laboratory


def test_seeded_rows_are_there_beforehand_and_are_no_writes(api: Api) -> None:
    first, second = guid(), guid()
    content = (
        f"ContactId,firstname,numberofchildren,loyaltynumber,_parentcustomerid_value\r\n"
        f'{{{first.upper()}}},"A, ""B""\nC",3,,\r\n{second.replace("-", "")},,,L1,{guid()}\r\n'
    )
    assert api.seed("contact", content).json() == {"rows": 2}
    rows = api.exported("contact")
    assert (rows[first]["firstname"], rows[first]["numberofchildren"]) == ('A, "B"\nC', 3)
    assert (rows[second]["firstname"], rows[second]["loyaltynumber"]) == (None, "L1")
    assert rows[second]["createdon"]
    statistics = api.laboratory("statistics")
    assert (statistics["writes"], statistics["seeded"]) == (0, {"contact": 2})
    line = json.dumps({"memberid": first, "points": 5, "bio": "x" * 3000})
    assert api.seed("member", line, "application/x-ndjson").json() == {"rows": 1}
    assert api.exported("member")[first]["points"] == "5"
    assert api.get("members")["value"][0]["bio"] == "x" * 3000
    assert "member" in api.laboratory("export")["tables"]


def test_exported_rows_are_one_line_each_whatever_their_texts_hold(api: Api) -> None:
    text = "a\u2028b\x85c\nd"
    line = json.dumps({"contactid": guid(), "firstname": text}, ensure_ascii=False)
    assert api.seed("contact", line, "application/x-ndjson").json() == {"rows": 1}
    assert [row["firstname"] for row in api.exported("contact").values()] == [text]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("firstname\nA\n", "contactid"),
        ("contactid,firstname\nabc,A\n", "Row 1, column 'contactid'"),
        ("contactid,numberofchildren\n" + str(uuid.UUID(int=1)) + ",many\n", "Row 1, column 'numberofchildren'"),
        ("contactid,firstname\n" + str(uuid.UUID(int=1)) + "\n", "Record 2 has 1 cells"),
        ("contactid,first name\n", "first name"),
        ('contactid\n""\n', "Row 1 has no primary key"),
    ],
)
def test_rows_that_cannot_be_seeded_are_refused_with_their_place(api: Api, content: str, told: str) -> None:
    answer = api.seed("contact", content)
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]
    assert api.exported("contact") == {}


def test_statistics_tell_headers_tags_and_requests(api: Api) -> None:
    headers = {"MSCRM.BypassBusinessLogicExecution": "CustomSync,CustomAsync"}
    api.expect(204, "POST", "contacts?tag=run-7", json={"firstname": "A"}, headers=headers)
    api.request("GET", "contacts?$top=1")
    statistics = api.laboratory("statistics")
    assert statistics["requests"] == {"create": 1, "query": 1}
    assert statistics["requests_by_table"] == {"contact": {"create": 1, "query": 1}}
    assert statistics["headers"] == {"mscrm.bypassbusinesslogicexecution: CustomSync,CustomAsync": 1}
    assert statistics["tags"] == {"run-7": 1}
    assert statistics["tables"]["contact"] == {"created": 1, "updated": 0, "deleted": 0, "unlinked": 0}
    api.http.post(f"/local/{api.host}/statistics/reset").raise_for_status()
    assert api.laboratory("statistics")["writes"] == 0


def test_faults_hit_before_or_after_the_commit(api: Api) -> None:
    api.faults({"match": "contacts", "times": 1, "skip": 1, "status": 429, "retry_after": 2, "code": "0x80072322"})
    api.expect(204, "POST", "contacts", json={})
    throttled = api.expect(429, "POST", "contacts", json={})
    assert (throttled.headers["Retry-After"], throttled.json()["error"]["code"]) == ("2", "0x80072322")
    api.expect(204, "POST", "contacts", json={})
    assert len(api.exported("contact")) == 2
    api.faults({"match": "POST", "reset": True}, {"match": "POST", "reset": True, "after_commit": True})
    for expected in (2, 3):
        with pytest.raises(httpx.TransportError):
            api.request("POST", "contacts", json={})
        assert len(api.exported("contact")) == expected
    assert api.laboratory("faults") == {"faults": []}
    assert api.http.post(f"/local/{api.host}/faults", json=[{"nosuch": 1}]).status_code == 400
    assert api.http.post(f"/local/{api.host}/faults", json=[{"times": "1"}]).status_code == 400


# The process


def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    process, url = start(tmp_path)
    api = Api(url)
    api.expect(204, "POST", "EntityDefinitions", json=table("new_profile"))
    targets = [{"new_profileid": guid(), "new_name": f"n{number}"} for number in range(200)]
    assert api.bulk("new_profiles", "UpsertMultiple", targets).status_code == 204
    before = api.exported("new_profile")
    process.kill()
    process.wait()
    close(url)
    if process.stdout is not None:
        process.stdout.close()
    process, url = start(tmp_path)
    again = Api(url)
    assert again.exported("new_profile") == before
    again.http.headers["Authorization"] = f"Bearer {api.token}"
    again.expect(204, "POST", "new_profiles", json={"new_name": "after"})
    versions = [row["versionnumber"] for row in again.exported("new_profile").values()]
    assert len(set(versions)) == 201
    close(url)
    assert stop(process) == 0


def certificate(directory: Path) -> tuple[Path, Path]:
    """A self-made certificate for localhost and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    files = directory / "certificate.pem", directory / "key.pem"
    files[0].write_bytes(made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


def test_tls_and_an_organization_that_the_host_header_names(tmp_path: Path) -> None:
    files = certificate(tmp_path)
    with running(tmp_path / "db", "--tls", str(files[0]), str(files[1])) as url:
        base = url.replace("127.0.0.1", "localhost")
        trusted = ssl.create_default_context(cafile=str(files[0]))
        with httpx.Client(base_url=base, verify=trusted, trust_env=False) as http:
            form = {"grant_type": "client_credentials", "client_id": "app", "client_secret": "any"}
            form["scope"] = f"{base}/.default"
            token = http.post("/tenant/oauth2/v2.0/token", data=form).raise_for_status().json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            made = http.post("/api/data/v9.2/contacts", json={"firstname": "A"}, headers=headers)
            assert made.headers["OData-EntityId"].startswith(f"{base}/api/data/v9.2/contacts(")
            assert http.get(made.headers["OData-EntityId"], headers=headers).json()["firstname"] == "A"


def test_latency_is_added_to_requests_without_holding_up_others(tmp_path: Path) -> None:
    with running(tmp_path, "--latency", "200") as url:
        started = time.monotonic()
        api = Api(url)
        assert time.monotonic() - started < 0.2
        api.get("WhoAmI")
        assert 0.2 <= time.monotonic() - started < 1


def test_organizations_are_apart(server: Api) -> None:
    first, second = server.another(), server.another()
    first.expect(204, "POST", "contacts", json={"firstname": "A"})
    assert second.exported("contact") == {}
    assert {first.host, second.host} <= set(server.http.get("/local").json()["organizations"])
