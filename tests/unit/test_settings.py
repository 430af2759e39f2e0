from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ConfigurationError
from shared.settings import APP_SETTINGS, Environment, Removal, Settings, SourceTable, TableOptions, load
from shared.settings import configuration as toml
from shared.settings.checks import seconds, service_address, web_address

ROOT = Path(__file__).parents[2]
ENVIRONMENT = "3f0c2a9e-77aa-4b52-9d3c-1f8b6f5d2e10"
STORAGE = "DefaultEndpointsProtocol=https;AccountName=lake;AccountKey=bWFya2Vy;EndpointSuffix=core.windows.net"
BUS = "Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=app;SharedAccessKey=marker"
NEEDED = {"LakeStorage": STORAGE, "StatusStorage": STORAGE, "ServiceBus": BUS}
MINIMAL = f'[environments."{ENVIRONMENT}"]\ndataverse_url = "https://contoso.crm.dynamics.com"\n'
CLIENT = "0bfc4568-a4ba-4c58-bd3e-5d3e76bd7fff"
OTHER = "0bfc4568-a4ba-4c58-bd3e-5d3e76bd8000"
SECOND = {"DATAVERSE_USERS": "second", "DATAVERSE_CLIENT_ID__second": OTHER}


def settings(folder: Path, text: str = MINIMAL, **environ: str) -> Settings:
    (folder / "hydration.toml").write_text(text, "utf-8")
    return load({**NEEDED, **environ}, folder)


def faults(folder: Path, text: str = MINIMAL, environ: Mapping[str, str] = NEEDED) -> tuple[str, ...]:
    (folder / "hydration.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigurationError) as raised:
        load(environ, folder)
    return raised.value.faults


def test_the_least_that_works_takes_every_default(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert (found.lake_container, found.hydration_container) == ("customerinsights", "hydration")
    assert (found.dataverse_timeout_seconds, found.lease_seconds, found.dataverse_batch_rows) == (120, 300, 1000)
    assert (found.plan_memory_limit, found.plan_threads) == ("1GB", 2)
    assert found.authority == "https://login.microsoftonline.com"
    assert found.hydration.publisher_prefix == "msdynci"
    assert (found.hydration.settle_seconds, found.hydration.whole_within_seconds) == (120, 7200)
    assert found.hydration.removal == Removal("delete", "clear", 10)
    assert found.hydration.environments[ENVIRONMENT] == Environment(
        ENVIRONMENT, "https://contoso.crm.dynamics.com", "individuals", None
    )
    assert found.hydration.options("Prediction") == TableOptions(enabled=True, include=None, exclude=())


def test_the_file_of_the_repository_is_valid_with_the_example_settings() -> None:
    found = load(json.loads((ROOT / "local.settings.example.json").read_text("utf-8"))["Values"], ROOT)
    crm = found.hydration.data_sources["CRM"]
    assert crm.dataverse == found.hydration.environments[ENVIRONMENT].dataverse_url
    assert crm.tables["contact"] == SourceTable("CRM", "contact", "contact", "contactid")
    assert found.hydration.tables == {}
    assert "BlobEndpoint=http://127.0.0.1:10000/" in str(found.lake_storage.connection_string)


def test_what_the_file_of_the_repository_shows_as_options_is_valid(tmp_path: Path) -> None:
    shown = re.sub(
        r'^# (?=\[tables|\w+ = [\[{"\w])', "", (ROOT / "hydration.toml").read_text("utf-8"), flags=re.MULTILINE
    )
    tables = settings(tmp_path, re.sub(r"^organization_id = .*$", "", shown, flags=re.MULTILINE)).hydration.tables
    assert tables["UnifiedActivity"].keep_days == 730
    assert tables["UnifiedActivity"].lengths == {"Description": 20000}
    assert tables["CustomerMeasure"].exclude == ("DaysSinceLastClaim",)
    assert [one.name for one in tables["Prediction"].entities or ()] == ["Prediction_*", "ChurnScores"]


def test_the_example_settings_hold_what_is_required_and_only_what_is_known() -> None:
    values = json.loads((ROOT / "local.settings.example.json").read_text("utf-8"))["Values"]
    known = {one.name: one for one in APP_SETTINGS}
    assert set(values) <= set(known)
    assert {one.name for one in APP_SETTINGS if one.required == "yes"} <= set(values)
    for name, value in values.items():
        assert value == (known[name].default or value)
    for one in APP_SETTINGS:
        if one.required.startswith("or "):
            assert {one.name, one.required.removeprefix("or ")} & set(values)


@pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="a copy without its README")
def test_the_settings_table_of_the_readme_agrees() -> None:
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    for one in APP_SETTINGS:
        default = f"`{one.default}`" if one.default else ""
        required = one.required.replace("or ", "or `") + "`" if one.required.startswith("or ") else one.required
        assert f"| `{one.name}` | {default} | {required} | {one.meaning} |" in lines


def test_values_are_brought_into_one_form(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        f"""
        publisher_prefix = "Contoso"
        settle_seconds = 0
        whole_within = "90m"
        [environments.{ENVIRONMENT}]
        dataverse_url = "HTTPS://Contoso.CRM.dynamics.com:443/"
        audience = "businesses"
        organization_id = "{{0BFC4568-A4BA-4C58-BD3E-5D3E76BD7FFF}}"
        [data_sources."Loyalty Club".tables."my table"]
        logical_name = "Cr1_Member"
        primary_key = "Member Id"
        [data_sources.CRM]
        dataverse = "https://contoso.crm.dynamics.com/"
        [tables.CustomerProfile]
        include = ["FirstName", " LastName "]
        [removal]
        rows = "keep"
        links = "keep"
        brake_percent = 0
        """,
    ).hydration
    assert found.publisher_prefix == "contoso"
    assert (found.settle_seconds, found.whole_within_seconds) == (0, 5400)
    assert found.environments[ENVIRONMENT] == Environment(
        ENVIRONMENT, "https://contoso.crm.dynamics.com", "businesses", CLIENT
    )
    assert found.data_sources["Loyalty Club"].dataverse is None
    assert found.data_sources["Loyalty Club"].tables["my table"].logical_name == "cr1_member"
    assert found.data_sources["CRM"].dataverse == "https://contoso.crm.dynamics.com"
    assert found.options("CustomerProfile").include == ("FirstName", "LastName")
    assert found.removal == Removal("keep", "keep", 0)


def test_app_settings_override_the_file(tmp_path: Path) -> None:
    found = settings(tmp_path, HYDRATION_SETTLE_SECONDS="1.5", HYDRATION_WHOLE_WITHIN_SECONDS="0").hydration
    assert (found.settle_seconds, found.whole_within_seconds) == (1.5, 0)


def test_a_byte_order_mark_and_another_file_name_are_fine(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(MINIMAL, "utf-8-sig")
    assert load({**NEEDED, "HYDRATION_CONFIG": "other.toml"}, tmp_path).hydration.environments


def test_identities_stand_instead_of_connection_strings(tmp_path: Path) -> None:
    (tmp_path / "hydration.toml").write_text(MINIMAL, "utf-8")
    found = load(
        {
            "LakeStorage__blobServiceUri": "https://lake.blob.core.windows.net/",
            "LakeStorage__clientId": CLIENT,
            "StatusStorage__tableServiceUri": "https://status.table.core.windows.net",
            "ServiceBus__fullyQualifiedNamespace": "Contoso.servicebus.windows.net",
            "ServiceBus": "  ",
            "DATAVERSE_ADDRESS": "http://127.0.0.1:7071/{host}/",
        },
        tmp_path,
    )
    assert found.lake_storage.connection_string is None
    assert (found.lake_storage.address, found.lake_storage.identity) == ("https://lake.blob.core.windows.net", CLIENT)
    assert found.status_storage.address == "https://status.table.core.windows.net"
    assert found.service_bus.address == "contoso.servicebus.windows.net"
    assert found.dataverse_address == "http://127.0.0.1:7071/{host}"


def test_all_faults_of_settings_and_file_are_reported_at_once(tmp_path: Path) -> None:
    text = """
    publisher_prefix = "mscrmx"
    setle_seconds = 5
    whole_within = "2 days"
    [environments.one]
    dataverse_url = "http://contoso.crm.dynamics.com"
    audience = "people"
    [environments.two]
    [tables.UnifiedActivities]
    [removal]
    rows = "delete"
    links = "keep"
    brake_percent = true
    """
    found = faults(tmp_path, text, {"LakeStorage": STORAGE, "PLAN_THREADS": "two", "DATAVERSE_CLIENT_SECRE": "x"})
    expected = (
        "DATAVERSE_CLIENT_SECRE is no setting of this app. Did you mean DATAVERSE_CLIENT_SECRET?",
        "StatusStorage must be set",
        "ServiceBus must be set",
        "PLAN_THREADS must be",
        "hydration.toml: setle_seconds is unknown. Did you mean settle_seconds?",
        "hydration.toml: publisher_prefix must be",
        "hydration.toml: whole_within must be",
        "hydration.toml: environments.one.dataverse_url must be",
        "hydration.toml: environments.one.audience must be",
        "hydration.toml: environments.two.dataverse_url is missing",
        'hydration.toml: tables "UnifiedActivities" is no output table. Did you mean UnifiedActivity?',
        "hydration.toml: removal.links",
        "hydration.toml: removal.brake_percent must be a number from 0 to 100.",
    )
    assert len(found) == len(expected), found
    for sentence in expected:
        assert any(fault.startswith(sentence) for fault in found), sentence


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("environments = 3", "environments must hold tables"),
        ("", "environments is missing"),
        ("environments.x = 1", "environments.x must be a table"),
        (MINIMAL + "organization_id = 'abc'", "organization_id must be the GUID"),
        (MINIMAL + "organisation_id = 'abc'", "Did you mean organization_id?"),
        (MINIMAL + "[environments.ci_x]\ndataverse_url='https://b.example'", '"ci_x" must be the id'),
        (MINIMAL + "[environments.'a/b']\ndataverse_url='https://b.example'", '"a/b" must be the id'),
        (MINIMAL + "[environments.b]\ndataverse_url='https://CONTOSO.crm.dynamics.com/'", "two environments"),
        (MINIMAL + "[environments.b]\ndataverse_url='https://b.example/main.aspx'", "must be the address"),
        (MINIMAL + "[environments.b]\ndataverse_url=''", "must be text that is not empty"),
        (MINIMAL + "[data_sources.CRM]\ndataverse='contoso'", "data_sources.CRM.dataverse must be the address"),
        (MINIMAL + "[data_sources.CRM.tables.a]\nlogical_name='a b'", "logical_name must be the logical name"),
        (MINIMAL + "[data_sources.'My CRM'.tables.a]\nkey='a'", 'data_sources."My CRM".tables.a.key is unknown'),
        (MINIMAL + "[tables.Prediction]\ninclude=['a']\nexclude=['b']", "must not stand beside exclude"),
        (MINIMAL + "[tables.Prediction]\nenabled='yes'", "tables.Prediction.enabled must be true or false"),
        (MINIMAL + "[tables.Prediction]\ninclude='a'", "must be a list of column names"),
        (MINIMAL + "[removal]\nbrake_percent=101", "must be a number from 0 to 100"),
        (MINIMAL + "[removal]\nbrake_percent=nan", "must be a number from 0 to 100"),
        ("settle_seconds = -1\n" + MINIMAL, "settle_seconds must be a number from 0"),
        ("whole_within = -1\n" + MINIMAL, "whole_within must be a number of seconds"),
        ("a = [", "must be TOML"),
    ],
)
def test_each_fault_of_the_file_is_named(tmp_path: Path, text: str, fault: str) -> None:
    found = faults(tmp_path, text)
    assert len(found) == 1
    assert fault in found[0]


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({"LakeStorage": "marker"}, "LakeStorage must be the connection string"),
        ({"ServiceBus": "marker"}, "ServiceBus must be the connection string"),
        ({"LakeStorage__blobServiceUri": "https://lake.blob.core.windows.net"}, "must not both be set"),
        ({"LAKE_CONTAINER": "CustomerInsights"}, "LAKE_CONTAINER must be the name of a container"),
        ({"HYDRATION_CONTAINER": "customerinsights"}, "another container than LAKE_CONTAINER"),
        ({"HYDRATION_CONFIG": "none.toml"}, "which does not exist"),
        ({"HYDRATION_CONFIG": "."}, "must be a readable file"),
        ({"DATAVERSE_CLIENT_SECRET": "marker"}, "DATAVERSE_TENANT_ID must be set"),
        ({"DATAVERSE_CLIENT_SECRET": "@Microsoft.KeyVault(SecretUri=marker)"}, "could not resolve its Key Vault"),
        ({"DATAVERSE_CLIENT_ID": "marker"}, "DATAVERSE_CLIENT_ID must be a GUID"),
        ({"DATAVERSE_CLIENT_SECRET": "marker", "DATAVERSE_TENANT_ID": CLIENT}, "DATAVERSE_CLIENT_ID must be set"),
        ({"DATAVERSE_USERS": "a b"}, "DATAVERSE_USERS must be different names"),
        ({"DATAVERSE_USERS": "second,Second"}, "DATAVERSE_USERS must be different names"),
        ({"DATAVERSE_USERS": "second"}, "DATAVERSE_CLIENT_ID__second must be set for the user"),
        ({**SECOND, "DATAVERSE_CLIENT_ID__second": "marker"}, "DATAVERSE_CLIENT_ID__second must be a GUID"),
        ({**SECOND, "DATAVERSE_CLIENT_ID": OTHER.upper()}, "DATAVERSE_CLIENT_ID__second must be another than"),
        ({**SECOND, "DATAVERSE_CLIENT_SECRET__second": "marker"}, "DATAVERSE_TENANT_ID must be set"),
        ({**SECOND, "DATAVERSE_CLIENT_SECRET__third": "marker"}, "DATAVERSE_CLIENT_SECRET__third is the setting of a"),
        ({"DATAVERSE_CLIENT_SECRET__second": "marker"}, "DATAVERSE_CLIENT_SECRET__second is the setting of a user"),
        ({**SECOND, "DATAVERSE_CLIENT_CERTIFICATE__second": "x.pem"}, "CERTIFICATE__second must be the path of a PEM"),
        (
            {**SECOND, "DATAVERSE_CLIENT_SECRET__second": "@Microsoft.KeyVault(SecretUri=marker)"},
            "DATAVERSE_CLIENT_SECRET__second must be readable",
        ),
        ({"DATAVERSE_USER": "second"}, "Did you mean DATAVERSE_USERS?"),
        ({**SECOND, "DATAVERSE_SECRET__second": "marker"}, "Did you mean DATAVERSE_CLIENT_SECRET__second?"),
        ({**SECOND, "DATAVERSE_CLIENTSECRET__second": "marker"}, "Did you mean DATAVERSE_CLIENT_SECRET__second?"),
        ({**SECOND, "DATAVERSE_TENANT_ID__second": "marker"}, "DATAVERSE_TENANT_ID is that of all users."),
        ({**SECOND, "DATAVERSE_X__second": "marker"}, "A user's settings are DATAVERSE_CLIENT_ID__second, "),
        ({"DATAVERSE_TENANT_ID": "marker"}, "DATAVERSE_TENANT_ID must be the GUID or the domain"),
        ({"DATAVERSE_AUTHORITY": "http://login.example"}, "DATAVERSE_AUTHORITY must be an https address"),
        ({"DATAVERSE_ADDRESS": "http://contoso.example/{host}"}, "DATAVERSE_ADDRESS must be an https address"),
        ({"DATAVERSE_TIMEOUT_SECONDS": "nan"}, "DATAVERSE_TIMEOUT_SECONDS must be a number"),
        ({"DATAVERSE_BATCH_ROWS": "1.5"}, "DATAVERSE_BATCH_ROWS must be a whole number"),
        ({"DATAVERSE_BATCH_ROWS": "1001"}, "DATAVERSE_BATCH_ROWS must be a number from 1 to 1000"),
        ({"HYDRATION_LEASE_SECONDS": "60"}, "HYDRATION_LEASE_SECONDS must be more than DATAVERSE_TIMEOUT_SECONDS"),
        ({"HYDRATION_SETTLE_SECONDS": "soon"}, "HYDRATION_SETTLE_SECONDS must be a number"),
        ({"PLAN_MEMORY_LIMIT": "1 potato"}, "PLAN_MEMORY_LIMIT must be a size"),
    ],
)
def test_each_fault_of_an_app_setting_is_named(tmp_path: Path, environ: Mapping[str, str], fault: str) -> None:
    found = faults(tmp_path, environ={**NEEDED, **environ})
    assert any(fault in one for one in found), found
    assert "marker" not in "".join(found)


def test_foreign_names_of_the_environment_are_no_faults(tmp_path: Path) -> None:
    assert settings(tmp_path, PATH="/bin", DATAVERSE_COLOR="blue", PLANET="earth", LAKE_OF_TEARS="yes")


def test_a_certificate_is_found_relative_to_the_folder(tmp_path: Path) -> None:
    sign_in = {"DATAVERSE_TENANT_ID": "contoso.example", "DATAVERSE_CLIENT_ID": CLIENT}
    assert any("PEM file" in one for one in faults(tmp_path, environ={**NEEDED, **sign_in, **_certificate("a.pem")}))
    (tmp_path / "a.pem").touch()
    (user,) = settings(tmp_path, **sign_in, **_certificate("a.pem")).users
    assert user.client_certificate == tmp_path / "a.pem"
    both = {**NEEDED, **sign_in, **_certificate("a.pem"), "DATAVERSE_CLIENT_SECRET": "marker"}
    assert any("must be absent" in one for one in faults(tmp_path, environ=both))


def test_users_beside_the_first_have_settings_of_their_own(tmp_path: Path) -> None:
    named = {"DATAVERSE_USERS": " second , third", "DATAVERSE_CLIENT_ID__third": CLIENT}
    found = settings(tmp_path, **{**SECOND, **named, "DATAVERSE_TENANT_ID": CLIENT}, DATAVERSE_CLIENT_SECRET__third="x")
    assert [(user.name, user.client_id, user.client_secret) for user in found.users] == [
        ("", None, None),
        ("second", OTHER, None),
        ("third", CLIENT, "x"),
    ]


def test_faults_of_several_users_are_reported_together(tmp_path: Path) -> None:
    named = {"DATAVERSE_USERS": "second,third", "DATAVERSE_CLIENT_ID__third": "marker"}
    found = faults(tmp_path, environ={**NEEDED, **named})
    assert len(found) == 2


@pytest.mark.parametrize("names", ["second;third", "second-user", '["second"]', "second,second"])
def test_users_that_cannot_be_told_apart_are_one_fault(tmp_path: Path, names: str) -> None:
    of_users = {"DATAVERSE_CLIENT_ID__second-user": CLIENT, "DATAVERSE_CLIENT_SECRET__third": "x"}
    found = faults(tmp_path, environ={**NEEDED, **SECOND, **of_users, "DATAVERSE_USERS": names})
    assert len(found) == 1
    assert found[0].startswith("DATAVERSE_USERS must be different names")


def test_a_user_that_is_spelt_in_two_ways_is_named_so(tmp_path: Path) -> None:
    found = faults(tmp_path, environ={**NEEDED, **SECOND, "DATAVERSE_USERS": "Second"})
    assert found == ("DATAVERSE_CLIENT_ID__second: DATAVERSE_USERS spells this user Second. Write both alike.",)


def test_client_ids_are_taken_over_without_braces_and_capital_letters(tmp_path: Path) -> None:
    found = settings(tmp_path, **{**SECOND, "DATAVERSE_CLIENT_ID__second": f"{{{OTHER.upper()}}}"})
    assert found.users[1].client_id == OTHER


def _certificate(path: str) -> dict[str, str]:
    return {"DATAVERSE_CLIENT_CERTIFICATE": path}


def test_secrets_do_not_show_in_the_settings(tmp_path: Path) -> None:
    secret = {"DATAVERSE_CLIENT_SECRET": "marker", "DATAVERSE_CLIENT_ID": CLIENT, "DATAVERSE_TENANT_ID": CLIENT}
    found = settings(tmp_path, **secret, **SECOND, DATAVERSE_CLIENT_SECRET__second="marker")
    assert [user.client_secret for user in found.users] == ["marker", "marker"]
    assert "marker" not in repr(found)
    assert "bWFya2Vy" not in repr(found)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("2h", 7200), ("90m", 5400), ("30s", 30), (" 1.5 h ", 5400), ("1.5", None), (60, 60), (True, None), ("", None)],
)
def test_lengths_of_time(value: object, expected: float | None) -> None:
    assert seconds(value) == expected


@pytest.mark.parametrize(
    "url", ["https://user:marker@contoso.example", "https://[::1", "https://a b", "https://x:99999"]
)
def test_addresses_that_are_none(url: str) -> None:
    assert web_address(url) is None
    assert service_address(url.replace("a b", "")) is None


NAMES = st.sampled_from(
    ["environments", "data_sources", "tables", "removal", "rows", "links", "include", "dataverse_url", "CRM", "", "x.y"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text("aé0 .-", max_size=8)
VALUES = st.recursive(
    SCALARS.filter(lambda value: value is not None),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_whatever_the_file_holds_ends_in_faults_or_a_configuration(content: dict[str, Any]) -> None:
    found: list[str] = []
    toml.parse(content, found, "hydration.toml")
    assert all(fault.startswith("hydration.toml: ") and fault.endswith((".", "?")) for fault in found)
