"""Schema and bulk writes against the local Dataverse, a process of its own."""

import itertools
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from local.children import Child, base_environment
from shared.dataverse import bulk, metadata
from shared.dataverse.client import Client
from shared.dataverse.errors import AmbiguousError
from shared.dataverse.limiter import Limiter
from shared.dataverse.patience import Patience
from shared.dataverse.schema import ColumnSchema, LookupSchema, Schema, TableSchema, provision
from shared.dataverse.signin import Credentials, TokenSource
from shared.dataverse.sizing import Sizes
from shared.errors import ClaimLostError, ConfigurationError, ThrottledError

HEADER = "loopback only"
CONTACT = bulk.TableName("contacts", "contact")
LINK = "msdynci_lookupfield_customerprofile"
PROFILE = TableSchema(
    "msdynci_customerprofile",
    "msdynci_customerprofile",
    "Customer Profile",
    "Customer Profiles",
    ColumnSchema("msdynci_name", "text", "Name"),
    (
        ColumnSchema("msdynci_city", "text", "City"),
        ColumnSchema("msdynci_notes", "memo", "Notes"),
        ColumnSchema("msdynci_visits", "integer", "Visits"),
        ColumnSchema("msdynci_value", "decimal", "Value"),
        ColumnSchema("msdynci_score", "double", "Score"),
        ColumnSchema("msdynci_active", "boolean", "Active"),
        ColumnSchema("msdynci_birthday", "date", "Birthday"),
        ColumnSchema("msdynci_seen", "datetime", "Seen"),
    ),
)
TO_PROFILE = LookupSchema("contact", LINK, "Customer Profile", PROFILE.logical_name, "Restrict")
WANTED = Schema((PROFILE,), (TO_PROFILE,))
KEY = "msdynci_customerprofileid"

numbers = itertools.count(1)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("dataverse")
    options = ["--port", "0", "--db", str(folder / "db"), "--identity-header", HEADER]
    child = Child.of_module("local.dataverse", options, folder / "log", base_environment())
    try:
        yield int(child.wait_for(r"127\.0\.0\.1:(\d+)")[0])
    finally:
        child.stop()


class Organization:
    """One organization of the local Dataverse, empty at first, and a client for it."""

    def __init__(self, port: int) -> None:
        self.host = f"org{next(numbers)}.crm.dynamics.com"
        self.base = f"http://127.0.0.1:{port}/local/{self.host}"
        self.client = self.another(port)

    def another(self, port: int) -> Client:
        return Client(
            f"https://{self.host}",
            address=f"http://127.0.0.1:{port}/{{host}}",
            tokens=TokenSource(Credentials()),
            limiter=Limiter(8, wait_seconds=3.0),
            timeout=20.0,
            patience=Patience(sleep=lambda _: None),
        )

    def faults(self, *faults: dict[str, Any]) -> None:
        httpx.post(f"{self.base}/faults", json=list(faults)).raise_for_status()

    def statistics(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.base}/statistics").raise_for_status().json()
        return found

    def rows(self, name: str, select: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.get(f"{name}?$select={select}")["value"]
        return found


@pytest.fixture
def organization(port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Organization]:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{port}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", HEADER)
    organization = Organization(port)
    yield organization
    organization.client.close()


@pytest.fixture
def profiles(organization: Organization) -> bulk.TableName:
    provision(organization.client, WANTED)
    table = metadata.table(organization.client, PROFILE.logical_name)
    assert table is not None
    return bulk.TableName(table.set_name, table.logical_name)


def guid(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))


def profile(number: int, **values: object) -> bytes:
    record = {"@odata.type": f"Microsoft.Dynamics.CRM.{PROFILE.logical_name}", KEY: guid(number), **values}
    return json.dumps(record).encode()


def contact(number: int, **values: object) -> bytes:
    return json.dumps({"@odata.type": "Microsoft.Dynamics.CRM.contact", "contactid": guid(number), **values}).encode()


def go() -> None:
    """Nothing speaks against the next request."""


def put(organization: Organization, table: bulk.TableName, *records: bytes) -> list[bulk.RowFault]:
    key = "contactid" if table == CONTACT else KEY
    return bulk.Writer(organization.client, table, Sizes(), go).upsert(records, key=key)


def test_a_table_is_created_with_columns_of_every_kind(organization: Organization) -> None:
    created = provision(organization.client, WANTED)
    assert len(created) == 2
    table = metadata.table(organization.client, PROFILE.logical_name)
    assert table is not None
    assert (table.primary_id, table.primary_name, table.is_standard) == (KEY, "msdynci_name", True)
    types = {name: column.type for name, column in table.columns.items() if name.startswith("msdynci_")}
    assert types["msdynci_city"] == "String"
    assert types["msdynci_notes"] == "Memo"
    assert types["msdynci_visits"] == "Integer"
    assert table.columns["msdynci_city"].max_length == 4000
    assert table.columns["msdynci_value"].precision == 10
    assert table.columns["msdynci_visits"].max == 2**31 - 1
    assert table.columns["msdynci_birthday"].behavior == "DateOnly"
    assert table.columns["msdynci_seen"].behavior == "UserLocal"
    source = metadata.table(organization.client, "contact")
    assert source is not None
    link = source.lookup(LINK, PROFILE.logical_name)
    assert link is not None
    assert (link.navigation, link.on_delete) == (LINK, "Restrict")
    assert metadata.table(organization.client, "no_such_table") is None


def test_what_is_there_is_not_created_again(organization: Organization) -> None:
    provision(organization.client, WANTED)
    before = organization.statistics()["requests"]["metadata write"]
    assert provision(organization.client, WANTED) == []
    assert organization.statistics()["requests"]["metadata write"] == before


def test_a_new_column_is_added(organization: Organization) -> None:
    provision(organization.client, WANTED)
    more = replace(PROFILE, columns=(*PROFILE.columns, ColumnSchema("msdynci_shoe", "decimal", "Shoe")))
    (sentence,) = provision(organization.client, Schema((more,)))
    assert "msdynci_shoe" in sentence


def test_another_type_is_refused_by_name(organization: Organization) -> None:
    provision(organization.client, WANTED)
    other = replace(PROFILE, columns=(ColumnSchema("msdynci_visits", "text", "Visits"),))
    with pytest.raises(ConfigurationError, match=r"msdynci_visits .* Integer.* text"):
        provision(organization.client, Schema((other,)))


def test_a_lookup_s_name_that_is_taken_is_refused(organization: Organization) -> None:
    provision(organization.client, WANTED)
    other = replace(TO_PROFILE, target="account")
    with pytest.raises(ConfigurationError, match=PROFILE.logical_name):
        provision(organization.client, Schema(lookups=(other,)))


def test_tables_that_are_named_must_exist(organization: Organization) -> None:
    with pytest.raises(ConfigurationError, match="no_such_table"):
        provision(organization.client, Schema(lookups=(replace(TO_PROFILE, table="no_such_table"),)))


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 429, "code": "0x80071151", "message": "Cannot start the requested operation [EntityCustomization]"},
        {"status": 503, "code": "0x0"},
        {"status": 500, "code": "0x80044151"},
        {"reset": True},
        {"reset": True, "after_commit": True},
        {"status": 500, "code": "0x80044151", "after_commit": True},
    ],
)
@pytest.mark.parametrize("path", ["EntityDefinitions", "RelationshipDefinitions", "PublishXml"])
def test_customizing_survives_passing_faults(organization: Organization, path: str, fault: dict[str, Any]) -> None:
    post = f"POST /{organization.host}/api/data/v9.2/{path}"
    organization.faults({"match": post, **fault}, {"match": f"/{path}", "times": 1, "skip": 1, **fault})
    created = provision(organization.client, WANTED)
    assert len(created) == 2
    assert provision(organization.client, WANTED) == []


def test_four_workers_provision_at_once(organization: Organization, port: int) -> None:
    created: list[str] = []
    failures: list[Exception] = []

    def work() -> None:
        try:
            with organization.another(port) as client:
                created.extend(provision(client, WANTED))
        except Exception as error:  # noqa: BLE001 (shown below)
            failures.append(error)

    run(work, 4)
    assert failures == []
    assert sorted(set(created)) == sorted(created)
    assert len(created) == 2


def run(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_values_of_every_kind_arrive(organization: Organization, profiles: bulk.TableName) -> None:
    values = {
        "msdynci_name": 'Ärzte "& Söhne"\n',
        "msdynci_city": "München",
        "msdynci_notes": "x" * 5000,
        "msdynci_visits": -(2**31),
        "msdynci_value": 0.1234567891,
        "msdynci_score": 1.5,
        "msdynci_active": True,
        "msdynci_birthday": "1753-01-01",
        "msdynci_seen": "2026-11-21T22:56:00Z",
    }
    assert put(organization, profiles, profile(1, **values)) == []
    (row,) = organization.rows(profiles.set_name, ",".join(values))
    assert {name: row[name] for name in values} == values


def test_rows_are_created_and_then_overwritten(organization: Organization, profiles: bulk.TableName) -> None:
    records = [profile(i, msdynci_name=f"first {i}") for i in range(250)]
    assert put(organization, profiles, *records) == []
    assert put(organization, profiles, profile(7, msdynci_name="second")) == []
    rows = organization.rows(profiles.set_name, "msdynci_name")
    assert len(rows) == 250
    assert {row[KEY]: row["msdynci_name"] for row in rows}[guid(7)] == "second"


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ({"msdynci_city": "x" * 4001}, "0x80044331"),
        ({"msdynci_visits": 2**31}, None),
        ({"msdynci_value": 1e12}, None),
        ({"msdynci_birthday": "no date"}, None),
    ],
)
def test_only_the_row_at_fault_is_refused(
    organization: Organization, profiles: bulk.TableName, bad: dict[str, object], code: str | None
) -> None:
    records = [profile(i, msdynci_city="fine") for i in range(60)]
    records[17] = profile(17, **bad)
    records[41] = profile(41, **bad)
    faults = put(organization, profiles, *records)
    assert [(fault.index, fault.kind) for fault in faults] == [(17, "rejected"), (41, "rejected")]
    assert code in {None, faults[0].code}
    assert len(organization.rows(profiles.set_name, KEY)) == 58


def test_finding_the_rows_at_fault_takes_three_requests(organization: Organization, profiles: bulk.TableName) -> None:
    records = [profile(i, msdynci_city="x" * (4001 if i % 100 == 50 else 1)) for i in range(200)]
    sent: list[int] = []
    faults = bulk.Writer(organization.client, profiles, Sizes(), lambda: sent.append(1)).upsert(records, key=KEY)
    assert [fault.index for fault in faults] == [50, 150]
    assert len(sent) == 3


def test_rows_of_two_faults_take_three_requests(organization: Organization, profiles: bulk.TableName) -> None:
    faulty: dict[int, dict[str, object]] = {
        20: {"msdynci_city": "x" * 4001}, 90: {"msdynci_visits": 2**31}, 91: {"msdynci_birthday": "no date"},
    }  # fmt: skip
    records = [profile(i, **faulty.get(i, {"msdynci_city": "fine"})) for i in range(200)]
    sent: list[int] = []
    faults = bulk.Writer(organization.client, profiles, Sizes(), lambda: sent.append(1)).upsert(records, key=KEY)
    assert [fault.index for fault in faults] == [20, 90, 91]
    assert len(sent) == 3
    assert len(organization.rows(profiles.set_name, KEY)) == 197


def test_where_refused_rows_are_common_no_call_is_split_or_tried(
    organization: Organization, profiles: bulk.TableName
) -> None:
    """An error that names no row: the first call is split in vain, the next go into a batch, until one is clean."""
    sizes, requests = Sizes(), []
    for start in (0, 200, 400, 600, 800):
        good = start >= 600
        rows = range(start, start + 200)
        writer = bulk.Writer(organization.client, profiles, sizes, lambda: None)
        records = [profile(i, msdynci_birthday="no date" if i % 50 == 25 and not good else "2000-01-01") for i in rows]
        refused = [] if good else [i for i in rows if i % 50 == 25]
        before = sum(organization.statistics()["requests"].values())
        assert [start + fault.index for fault in writer.upsert(records, key=KEY)] == refused
        requests.append(sum(organization.statistics()["requests"].values()) - before)
    assert requests[1:3] == [201, 201]  # the batch and its parts
    assert requests[3:] == [201, 1]  # the first clean one is a surprise
    assert len(organization.rows(profiles.set_name, KEY)) == 1_000 - 12


def test_a_single_row_at_fault_costs_its_half(organization: Organization, profiles: bulk.TableName) -> None:
    records = [profile(i, msdynci_birthday="no date" if i == 150 else "2000-01-01") for i in range(200)]
    assert [fault.index for fault in put(organization, profiles, *records)] == [150]
    counted = organization.statistics()["requests"]
    assert (counted["UpsertMultiple"], counted["$batch"]) == (2, 1)


def test_an_unknown_column_fails_the_whole_task(organization: Organization, profiles: bulk.TableName) -> None:
    with pytest.raises(ConfigurationError, match="msdynci_nope"):
        put(organization, profiles, profile(1, msdynci_nope="x"))


def test_an_unknown_table_fails_the_whole_task(organization: Organization) -> None:
    with pytest.raises(ConfigurationError, match="nothings"):
        put(organization, bulk.TableName("nothings", "nothing"), profile(1))


def link(number: int, target: int | None, table: bulk.TableName) -> bytes:
    bound = None if target is None else f"/{table.set_name}({guid(target)})"
    return contact(number, **{f"{LINK}@odata.bind": bound})


def links(organization: Organization) -> dict[str, str | None]:
    return {row["contactid"]: row[f"_{LINK}_value"] for row in organization.rows("contacts", f"_{LINK}_value")}


def relink(organization: Organization, *records: bytes, bypass: bool = False) -> list[bulk.RowFault]:
    return bulk.Writer(organization.client, CONTACT, Sizes(), go, bypass=bypass).update(records, key="contactid")


def test_links_are_set_cleared_and_missing_rows_reported(organization: Organization, profiles: bulk.TableName) -> None:
    put(organization, profiles, *(profile(i) for i in range(10)))
    put(organization, CONTACT, *(contact(i, lastname=f"n{i}") for i in range(100, 110)))
    records = [link(100 + i, i % 10, profiles) for i in range(20)]  # the second ten do not exist
    faults = relink(organization, *records)
    assert [(fault.index, fault.kind) for fault in faults] == [(i, "missing") for i in range(10, 20)]
    assert all(guid(110) not in fault.message for fault in faults[1:])
    assert links(organization) == {guid(100 + i): guid(i) for i in range(10)}
    assert relink(organization, link(100, None, profiles)) == []
    assert links(organization)[guid(100)] is None


def test_a_link_to_a_profile_that_is_not_there_is_rejected(
    organization: Organization, profiles: bulk.TableName
) -> None:
    put(organization, profiles, profile(1))
    put(organization, CONTACT, *(contact(i, lastname="n") for i in range(100, 104)))
    faults = relink(
        organization, *(link(100 + i, 1 if i != 2 else 999, profiles) for i in range(4)), link(500, 1, profiles)
    )
    assert [(fault.index, fault.kind) for fault in faults] == [(2, "rejected"), (4, "missing")]
    assert sum(target is not None for target in links(organization).values()) == 3


def test_an_update_of_nothing_but_missing_rows_creates_none(
    organization: Organization, profiles: bulk.TableName
) -> None:
    put(organization, profiles, profile(1))
    faults = relink(organization, *(link(i, 1, profiles) for i in range(5)))
    assert [fault.kind for fault in faults] == ["missing"] * 5
    assert links(organization) == {}


def test_rows_are_deleted_unless_others_refer_to_them(organization: Organization, profiles: bulk.TableName) -> None:
    put(organization, profiles, *(profile(i) for i in range(230)))
    put(organization, CONTACT, contact(1000, lastname="n"))
    relink(organization, link(1000, 5, profiles))
    ids = [guid(i) for i in range(240)]  # the last ten do not exist
    faults = bulk.Writer(organization.client, profiles, Sizes(), go).delete(ids)
    assert [(fault.index, fault.kind) for fault in faults] == [(5, "referenced")]
    assert [row[KEY] for row in organization.rows(profiles.set_name, KEY)] == [guid(5)]


@pytest.mark.parametrize("after_commit", [False, True])
@pytest.mark.parametrize(
    "fault",
    [{"reset": True}, {"status": 503, "code": "0x0"}, {"status": 500, "code": "0x80044150"}, {"status": 401}],
)
def test_writes_are_repeated_through_passing_faults(
    organization: Organization, profiles: bulk.TableName, fault: dict[str, Any], *, after_commit: bool
) -> None:
    one = {**fault, "after_commit": after_commit}
    organization.faults({"match": "UpsertMultiple", **one}, {"match": "$batch", **one})
    records = [profile(i, msdynci_city="x" * (4001 if i == 3 else 1)) for i in range(30)]
    assert [found.index for found in put(organization, profiles, *records)] == [3]
    organization.faults({"match": "$batch", **one})
    assert bulk.Writer(organization.client, profiles, Sizes(), go).delete([guid(i) for i in range(30)]) == []
    assert organization.rows(profiles.set_name, KEY) == []


def test_throttled_writes_wait_and_go_on(organization: Organization, profiles: bulk.TableName) -> None:
    organization.faults({"match": "UpsertMultiple", "status": 429, "code": "0x80072322", "retry_after": 1, "times": 2})
    assert put(organization, profiles, profile(1)) == []
    assert organization.client.limiter.at_once == 3  # halved twice, one more with the answer


def test_a_long_retry_after_comes_back_to_the_caller(organization: Organization, profiles: bulk.TableName) -> None:
    organization.faults({"match": "UpsertMultiple", "status": 429, "code": "0x80072321", "retry_after": 90})
    with pytest.raises(ThrottledError) as raised:
        put(organization, profiles, profile(1))
    assert raised.value.retry_after > 80


def test_an_answer_that_never_comes_is_ambiguous(organization: Organization, profiles: bulk.TableName) -> None:
    organization.faults({"match": "UpsertMultiple", "reset": True, "after_commit": True, "times": 50})
    with pytest.raises(AmbiguousError):
        put(organization, profiles, profile(1))


def test_a_lost_claim_stops_before_the_next_request(organization: Organization, profiles: bulk.TableName) -> None:
    calls: list[int] = []

    def before() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise ClaimLostError("gone")

    records = [profile(i, msdynci_city="x" * (4001 if i == 3 else 1)) for i in range(30)]
    with pytest.raises(ClaimLostError):
        bulk.Writer(organization.client, profiles, Sizes(), before).upsert(records, key=KEY)
    assert len(calls) == 2
    assert organization.rows(profiles.set_name, KEY) == []


def test_links_bypass_custom_logic_only_where_allowed(organization: Organization, profiles: bulk.TableName) -> None:
    put(organization, profiles, profile(1))
    put(organization, CONTACT, contact(100, lastname="n"))
    denied = "Principal user is missing prvBypassCustomBusinessLogic privilege"
    organization.faults({"match": "UpdateMultiple", "status": 403, "code": "0x80040220", "message": denied})
    assert relink(organization, link(100, 1, profiles), bypass=True) == []
    assert not organization.client.bypass_in_force
    assert links(organization) == {guid(100): guid(1)}


def test_who_am_i_names_the_organization(organization: Organization) -> None:
    identity = organization.client.who_am_i()
    assert uuid.UUID(identity.organization_id)
    assert organization.client.user_id == identity.user_id
