"""Whatever stands in a query, the local Dataverse answers it or refuses it: it does not fail."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.dataverse import api
from local.dataverse.call import Call
from local.dataverse.organization import Organization
from local.dataverse.profiles import PROFILES

HOST = "contoso.crm.dynamics.com"
ROW = "11111111-1111-1111-1111-111111111111"
NAMES = ["lastname", "createdon", "donotemail", "numberofchildren", "contactid", "_parentcustomerid_value", "nosuch"]
VALUES = ["'x'", "''", "1", "-1.5", "null", "true", ROW, "2024-01-01", "2024-01-01T00:00:00Z", "'", "%", "'[a]'"]
LISTS = "Microsoft.Dynamics.CRM."
FILTER = [
    *NAMES, *VALUES, "eq", "ne", "gt", "and", "or", "not", "(", ")", ",", "contains(lastname,'x')", "contains(", "any",
    "parentcustomerid_account/name", "contact_customer_contacts/any(c:", "contact_customer_contacts/all(c:c/lastname",
    "c/lastname", LISTS + "In(PropertyName='lastname',PropertyValues=['a'])", LISTS + "In(", "A.B'C'",
    LISTS + "Between(PropertyName='createdon',PropertyValues=['a','b'])", "length(lastname)",
]  # fmt: skip
SQL = [
    *NAMES, *VALUES, "SELECT", "FROM", "contact", "account", "c", "a", "c.", "AS", "JOIN", "LEFT", "ON", "WHERE", "AND",
    "OR", "NOT", "IN", "(", ")", ",", "=", "<>", "IS", "NULL", "LIKE", "BETWEEN", "GROUP", "BY", "ORDER", "DESC", ";",
    "COUNT", "COUNT(*)", "SUM(lastname)", "MAX(createdon)", "TOP", "DISTINCT", "OFFSET", "ROWS", "FETCH", "NEXT",
]  # fmt: skip
EXPAND = [
    "parentcustomerid_account", "contact_customer_contacts", "originatingleadid", "nosuch", "(", ")", ";", ",", "name",
    "$select=", "$filter=", "$orderby=", "$top=", "$expand=", "lastname", "1", "0", "'", "eq", "desc",
]  # fmt: skip
OPERATORS = ["eq", "ne", "like", "in", "between", "null", "not-null", "on", "begins-with", "not-in", "gt", "nosuch", ""]
STARTS = ["", "SELECT lastname FROM contact ", "SELECT c.lastname FROM contact c JOIN account a ON "]
HEADS = ["", 'count="2"', 'top="2"', 'distinct="true"', 'aggregate="true"', 'page="0"', 'count="x"']
ATTRIBUTES = [
    'name="lastname"', 'name="lastname" alias="a"', 'name="numberofchildren" alias="n" aggregate="sum"', 'name=""',
    'name="lastname" alias="s" aggregate="sum"', 'name="lastname" alias="l" groupby="true"', 'name="fax" alias="1"',
]  # fmt: skip
LINK = '<link-entity name="account" from="accountid" to="parentcustomerid" {}/>'
LINKS = ["", LINK.format(""), LINK.format('alias="contact"'), LINK.format('link-type="any"'), "<link-entity/>"]
TEXTS = ["x", "1", "true", ROW, "", "2024-01-01", "[a]", "1e400", "nan"]


@pytest.fixture(scope="module")
def organization(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organization]:
    found = Organization(HOST, tmp_path_factory.mktemp("garbage"), PROFILES["instant"])
    body = b'{"contactid":"%b","lastname":"x","numberofchildren":1}' % ROW.encode()
    assert _status(found, "contacts", "", "POST", body) == 204
    yield found
    found.store.close()


def _status(organization: Organization, path: str, query: str, method: str = "GET", body: bytes = b"") -> int:
    base, user = f"https://{HOST}/api/data/v9.2/", "22222222-2222-2222-2222-222222222222"
    return api.dispatch(Call(organization, method, path, query, {}, body, base, user)).status


def _answered(organization: Organization, option: str, text: str) -> None:
    assert _status(organization, "contacts", f"{option}={quote(text)}") in {200, 400, 404, 501}


def soup(words: list[str]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(words), max_size=14).map(" ".join)


@given(text=soup(FILTER))
def test_any_filter_is_answered(organization: Organization, text: str) -> None:
    _answered(organization, "$filter", text)


@given(text=soup(SQL), start=st.sampled_from(STARTS))
def test_any_sql_is_answered(organization: Organization, text: str, start: str) -> None:
    _answered(organization, "sql", start + text)


@given(words=st.lists(st.sampled_from(EXPAND), max_size=14))
def test_any_expansion_is_answered(organization: Organization, words: list[str]) -> None:
    _answered(organization, "$expand", "".join(words))


@given(text=soup([*NAMES, "asc", "desc", ","]))
def test_any_order_is_answered(organization: Organization, text: str) -> None:
    _answered(organization, "$orderby", text)


@st.composite
def fetches(draw: st.DrawFn) -> str:
    name, operator = draw(st.sampled_from([*NAMES, ""])), draw(st.sampled_from(OPERATORS))
    values = "".join(f"<value>{text}</value>" for text in draw(st.lists(st.sampled_from(TEXTS), max_size=3)))
    condition = f'<filter><condition attribute="{name}" operator="{operator}">{values}</condition></filter>'
    inside = f"<attribute {draw(st.sampled_from(ATTRIBUTES))}/>{draw(st.sampled_from(LINKS))}{condition}"
    order = draw(st.sampled_from(["", f'<order attribute="{name}"/>', '<order alias="n" descending="true"/>']))
    return f'<fetch {draw(st.sampled_from(HEADS))}><entity name="contact">{inside}{order}</entity></fetch>'


@given(text=fetches())
def test_any_fetchxml_is_answered(organization: Organization, text: str) -> None:
    _answered(organization, "fetchXml", text)
