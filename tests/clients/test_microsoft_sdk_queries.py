"""Microsoft's Python client against the local Dataverse: OData, SQL and FetchXML."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PowerPlatform.Dataverse.core.errors import HttpError
from PowerPlatform.Dataverse.models.filters import col
from PowerPlatform.Dataverse.models.query_builder import ExpandOption

from tests.support.microsoft_sdk import Home

CITIES = ("Rome", "Oslo", "Rome", "Bern", None)


@pytest.fixture(scope="module")
def shop(secure: str) -> Iterator[Home]:
    """Two accounts; the contacts 0 to 4, the first three of them at the first account."""
    home = Home(secure)
    records = home.client.records
    accounts = records.create("account", [{"name": "Acme", "revenue": 1234.5}, {"name": "Bolt"}])
    bind = {"parentcustomerid_account@odata.bind": f"/accounts({accounts[0]})"}
    people = [
        {"firstname": f"P{n}", "address1_city": city, "numberofchildren": n, "donotemail": n % 2 == 0}
        for n, city in enumerate(CITIES)
    ]
    records.create("contact", [{**one, **bind} for one in people[:3]])
    records.create("contact", people[3:])
    yield home
    home.close()


def names(rows: object) -> list[str]:
    return [row["firstname"] for row in rows]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("address1_city eq 'rome'", ["P0", "P2"]),
        ("numberofchildren gt 1 and donotemail eq true", ["P2", "P4"]),
        ("not contains(firstname,'2') and address1_city ne null", ["P0", "P1", "P3"]),
        ("parentcustomerid_account/name eq 'Acme'", ["P0", "P1", "P2"]),
        ("Microsoft.Dynamics.CRM.NotIn(PropertyName='firstname',PropertyValues=['P0','P1'])", ["P2", "P3", "P4"]),
        ("Microsoft.Dynamics.CRM.Between(PropertyName='numberofchildren',PropertyValues=['1','2'])", ["P1", "P2"]),
    ],
)
def test_rows_are_filtered(shop: Home, text: str, expected: list[str]) -> None:
    assert names(shop.client.records.list("contact", filter=text, orderby=["firstname"])) == expected


def test_rows_come_by_pages_in_order(shop: Home) -> None:
    pages = shop.client.records.list_pages("contact", select=["firstname"], orderby=["firstname desc"], page_size=2)
    assert [names(page) for page in pages] == [["P4", "P3"], ["P2", "P1"], ["P0"]]


def test_the_first_rows_are_taken_by_top(shop: Home) -> None:
    assert names(shop.client.records.list("contact", orderby=["numberofchildren desc"], top=2)) == ["P4", "P3"]


def test_a_query_is_built(shop: Home) -> None:
    builder = shop.client.query.builder("contact").select("firstname", "numberofchildren")
    wanted = col("address1_city").in_(["Rome", "Oslo"]) & (col("numberofchildren") >= 1)
    (page,) = builder.where(wanted).order_by("firstname").include_formatted_values().execute_pages()
    assert names(page) == ["P1", "P2"]
    first = page.first()
    assert first is not None
    assert first["numberofchildren@OData.Community.Display.V1.FormattedValue"] == "1"


def test_a_collection_is_expanded_with_options_of_its_own(shop: Home) -> None:
    contacts = ExpandOption("contact_customer_accounts").select("firstname").filter("contains(firstname,'P')")
    builder = shop.client.query.builder("account").select("name").order_by("name")
    (page,) = builder.expand(contacts.order_by("firstname", descending=True).top(2)).execute_pages()
    assert [names(row["contact_customer_accounts"]) for row in page] == [["P2", "P1"], []]


def test_accounts_are_chosen_by_what_their_contacts_have(shop: Home) -> None:
    some = "contact_customer_accounts/any(c:c/address1_city eq 'Oslo')"
    assert [row["name"] for row in shop.client.records.list("account", filter=some)] == ["Acme"]
    every = "contact_customer_accounts/all(c:c/address1_city eq 'Oslo')"
    assert [row["name"] for row in shop.client.records.list("account", filter=every)] == ["Bolt"]


def test_a_wrong_query_is_told(shop: Home) -> None:
    with pytest.raises(HttpError, match="Could not find a property named 'nosuch'"):
        shop.client.records.list("contact", filter="nosuch eq 1")


JOINED = "SELECT c.firstname, a.name FROM contact c INNER JOIN account a ON c.parentcustomerid = a.accountid"
COUNTED = (
    "SELECT a.name, COUNT(c.contactid) AS n FROM account a LEFT JOIN contact c ON c.parentcustomerid = a.accountid "
    "GROUP BY a.name ORDER BY a.name"
)
BY_CITY = (
    "SELECT address1_city, COUNT(contactid) AS n FROM contact WHERE address1_city IS NOT NULL "
    "GROUP BY address1_city ORDER BY n DESC, address1_city"
)
FILTERED = "SELECT firstname FROM contact WHERE {} ORDER BY firstname"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT TOP 2 firstname FROM contact ORDER BY numberofchildren DESC", [("P4",), ("P3",)]),
        ("SELECT c.firstname AS who FROM contact AS c WHERE c.donotemail = 0 ORDER BY who", [("P1",), ("P3",)]),
        (FILTERED.format("firstname LIKE 'P%' AND address1_city IS NULL"), [("P4",)]),
        (FILTERED.format("(firstname = 'P1' OR firstname IN ('P3'))"), [("P1",), ("P3",)]),
        (FILTERED.format("numberofchildren NOT BETWEEN 1 AND 3"), [("P0",), ("P4",)]),
        ("SELECT DISTINCT address1_city FROM contact WHERE address1_city > 'C'", [("Rome",), ("Oslo",)]),
        ("SELECT COUNT(*) AS n, SUM(numberofchildren) AS s, MAX(firstname) AS m FROM contact", [(5, 10, "P4")]),
        (BY_CITY, [("Rome", 2), ("Bern", 1), ("Oslo", 1)]),
        (JOINED + " ORDER BY c.firstname", [("P0", "Acme"), ("P1", "Acme"), ("P2", "Acme")]),
        (COUNTED, [("Acme", 3), ("Bolt", 0)]),
        ("SELECT firstname FROM contact ORDER BY firstname OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY", [("P1",), ("P2",)]),
    ],
)
def test_rows_are_read_by_sql(shop: Home, sql: str, expected: list[tuple[object, ...]]) -> None:
    rows = shop.client.query.sql(sql)
    found = [tuple(value for name, value in row.items() if not name.startswith("@")) for row in rows]
    assert sorted(found) == sorted(expected) if "DISTINCT" in sql else found == expected


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT nosuch FROM contact",
        "SELECT firstname FROM contact WHERE",
        "SELECT UPPER(firstname) FROM contact",
        "SELECT firstname, COUNT(*) FROM contact",
    ],
)
def test_sql_that_is_not_served_is_refused(shop: Home, sql: str) -> None:
    with pytest.raises(HttpError) as told:
        shop.client.query.sql(sql)
    assert told.value.status_code == 400


def fetch(shop: Home, body: str, entity: str = "contact", head: str = "") -> list[dict[str, object]]:
    found = shop.client.query.fetchxml(f'<fetch {head}><entity name="{entity}">{body}</entity></fetch>')
    return [row.to_dict() for row in found.execute()]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('<condition attribute="firstname" operator="eq" value="P1"/>', ["P1"]),
        ('<condition attribute="address1_city" operator="like" value="%o%"/>', ["P0", "P1", "P2"]),
        ('<condition attribute="address1_city" operator="ne" value="Rome"/>', ["P1", "P3", "P4"]),
        ('<condition attribute="address1_city" operator="null"/>', ["P4"]),
        ('<condition attribute="donotemail" operator="eq" value="1"/>', ["P0", "P2", "P4"]),
        ('<condition attribute="firstname" operator="in"><value>P0</value><value>P3</value></condition>', ["P0", "P3"]),
        ('<condition attribute="numberofchildren" operator="between"><value>1</value><value>2</value></condition>',
         ["P1", "P2"]),
        ('<condition attribute="createdon" operator="on-or-after" value="2020-01-01"/>', [f"P{n}" for n in range(5)]),
    ],
)  # fmt: skip
def test_conditions_of_fetchxml(shop: Home, condition: str, expected: list[str]) -> None:
    order = '<attribute name="firstname"/><order attribute="firstname"/>'
    assert names(fetch(shop, f"{order}<filter>{condition}</filter>")) == expected


def test_linked_tables_of_fetchxml(shop: Home) -> None:
    link = (
        '<link-entity name="contact" from="parentcustomerid" to="accountid" alias="c" link-type="{}">{}</link-entity>'
    )
    inner = link.format("inner", '<attribute name="firstname"/><order attribute="firstname" descending="true"/>')
    found = fetch(shop, '<attribute name="name"/>' + inner, "account")
    assert [(row["name"], row["c.firstname"]) for row in found] == [("Acme", f"P{n}") for n in (2, 1, 0)]
    alone = (
        link.format("outer", "") + '<filter><condition entityname="c" attribute="contactid" operator="null"/></filter>'
    )
    assert [row["name"] for row in fetch(shop, '<attribute name="name"/>' + alone, "account")] == ["Bolt"]


def test_pages_of_fetchxml_follow_the_cookie(shop: Home) -> None:
    body = '<entity name="contact"><attribute name="firstname"/><order attribute="firstname"/></entity>'
    pages = shop.client.query.fetchxml(f'<fetch count="2">{body}</fetch>').execute_pages()
    assert [names(page) for page in pages] == [["P0", "P1"], ["P2", "P3"], ["P4"]]


def test_aggregates_of_fetchxml(shop: Home) -> None:
    body = (
        '<attribute name="contactid" alias="n" aggregate="count"/>'
        '<attribute name="numberofchildren" alias="s" aggregate="sum"/>'
        '<attribute name="address1_city" alias="city" groupby="true"/><order alias="city"/>'
    )
    found = fetch(shop, body, head='aggregate="true"')
    assert [(row.get("city"), row["n"], row["s"]) for row in found] == [
        (None, 1, 4), ("Bern", 1, 3), ("Oslo", 1, 1), ("Rome", 2, 2),
    ]  # fmt: skip


def test_fetchxml_leaves_empty_columns_out_and_has_all_others_without_a_choice(shop: Home) -> None:
    (row,) = fetch(shop, '<filter><condition attribute="firstname" operator="eq" value="P4"/></filter>')
    assert (row["numberofchildren"], row["donotemail"]) == (4, True)
    assert "address1_city" not in row


def test_pages_of_fetchxml_ordered_by_a_linked_table_have_no_cookie(shop: Home) -> None:
    link = '<link-entity name="account" from="accountid" to="parentcustomerid"><order attribute="name"/></link-entity>'
    xml = f'<fetch count="2"><entity name="contact"><attribute name="firstname"/>{link}</entity></fetch>'
    with pytest.warns(UserWarning, match="did not return a paging cookie"):
        pages = [names(page) for page in shop.client.query.fetchxml(xml).execute_pages()]
    assert [len(page) for page in pages] == [2, 1]


def test_fetchxml_that_is_not_served_is_refused(shop: Home) -> None:
    with pytest.raises(HttpError, match="not supported by this local Dataverse") as told:
        fetch(shop, '<filter><condition attribute="createdon" operator="last-x-days" value="3"/></filter>')
    assert told.value.status_code == 501
    with pytest.raises(HttpError, match="doesn't contain attribute") as wrong:
        fetch(shop, '<attribute name="nosuch"/>')
    assert wrong.value.details["service_error_code"] == "0x80041103"
