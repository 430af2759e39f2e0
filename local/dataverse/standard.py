"""The standard tables contact, lead and account with their usual columns, and the columns that every table has.

A selection of what Dataverse has, with its lengths. There are no owners; full names are ordinary columns that the API
does not write, because composing them is a matter of the organization's settings.
"""

from __future__ import annotations

from dataclasses import replace

from local.dataverse.metadata import CASCADE, REMOVE_LINK, Catalog, Column, Relationship, Table
from local.dataverse.storage import Store

ADDRESS = {
    "name": 200, "line1": 250, "line2": 250, "line3": 250, "city": 80, "stateorprovince": 50, "postalcode": 20,
    "country": 80, "county": 50, "postofficebox": 20, "telephone1": 50, "telephone2": 50, "fax": 50,
    "primarycontactname": 100,
}  # fmt: skip
CHANNELS = {
    "emailaddress1": 100, "emailaddress2": 100, "emailaddress3": 100, "telephone1": 50, "telephone2": 50,
    "telephone3": 50, "fax": 50, "websiteurl": 200,
}  # fmt: skip
PERSON = {
    "firstname": 50, "middlename": 50, "lastname": 50, "salutation": 100, "jobtitle": 100, "mobilephone": 50,
    "pager": 50,
}  # fmt: skip
CONSENT = ("donotemail", "donotphone", "donotfax", "donotpostalmail", "donotbulkemail", "donotsendmm")
TEXTS = {
    "contact": PERSON | CHANNELS | {
        "nickname": 50, "suffix": 10, "department": 100, "governmentid": 50, "employeeid": 50, "assistantname": 100,
        "assistantphone": 50, "managername": 100, "managerphone": 50, "spousesname": 100, "childrensnames": 255,
        "externaluseridentifier": 50, "company": 50, "home2": 50, "business2": 50, "callback": 50, "ftpsiteurl": 200,
    },
    "lead": PERSON | CHANNELS | {"subject": 300, "companyname": 100, "sic": 20},
    "account": CHANNELS | {
        "name": 160, "accountnumber": 20, "tickersymbol": 10, "sic": 20, "stockexchange": 20, "ftpsiteurl": 200,
    },
}  # fmt: skip
CHOICES: dict[str, dict[str, tuple[int, ...]]] = {
    "contact": {"gendercode": (1, 2), "familystatuscode": (1, 2, 3, 4), "preferredcontactmethodcode": (1, 2, 3, 4, 5),
                "customertypecode": (1,), "leadsourcecode": (1,)},
    "lead": {"leadqualitycode": (1, 2, 3), "leadsourcecode": tuple(range(1, 11)), "industrycode": tuple(range(1, 34)),
             "preferredcontactmethodcode": (1, 2, 3, 4, 5)},
    "account": {"industrycode": tuple(range(1, 34)), "customertypecode": tuple(range(1, 13)),
                "accountcategorycode": (1, 2), "ownershipcode": (1, 2, 3, 4),
                "preferredcontactmethodcode": (1, 2, 3, 4, 5)},
}  # fmt: skip
MONEY = {"contact": ("annualincome", "creditlimit"), "lead": ("revenue", "budgetamount"),
         "account": ("revenue", "creditlimit", "marketcap")}  # fmt: skip
INTEGERS = {"contact": ("numberofchildren",), "lead": ("numberofemployees",),
            "account": ("numberofemployees", "sharesoutstanding")}  # fmt: skip
DATES = {"contact": ("birthdate", "anniversary"), "lead": ("estimatedclosedate",), "account": ()}
TIMES = ("lastonholdtime",)
NAMES = {"contact": ("Contact", "Contacts", "fullname", 2), "lead": ("Lead", "Leads", "fullname", 4),
         "account": ("Account", "Accounts", "name", 1)}  # fmt: skip
# (schema name, referenced, referencing, lookup, navigation, on delete)
RELATIONSHIPS = (
    ("contact_customer_accounts", "account", "contact", "parentcustomerid", "parentcustomerid_account", CASCADE),
    ("contact_customer_contacts", "contact", "contact", "parentcustomerid", "parentcustomerid_contact", CASCADE),
    ("contact_originating_lead", "lead", "contact", "originatingleadid", "originatingleadid", REMOVE_LINK),
    ("account_originating_lead", "lead", "account", "originatingleadid", "originatingleadid", REMOVE_LINK),
    ("lead_parent_account", "account", "lead", "parentaccountid", "parentaccountid", REMOVE_LINK),
    ("lead_parent_contact", "contact", "lead", "parentcontactid", "parentcontactid", REMOVE_LINK),
    ("lead_customer_accounts", "account", "lead", "customerid", "customerid_account", CASCADE),
    ("lead_customer_contacts", "contact", "lead", "customerid", "customerid_contact", CASCADE),
    ("account_primary_contact", "contact", "account", "primarycontactid", "primarycontactid", REMOVE_LINK),
    ("account_parent_account", "account", "account", "parentaccountid", "parentaccountid", REMOVE_LINK),
)


def system_columns(primary_id: str, *, custom: bool = False) -> list[Column]:
    """Return the columns that every table has, its primary key first."""
    states = ((0, "Active"), (1, "Inactive"))
    reasons = ((1, "Active"), (2, "Inactive"))
    return [
        Column(primary_id, "Uniqueidentifier", required="SystemRequired", valid_for_update=False, is_custom=custom),
        read_only(Column("createdon", "DateTime", display_name="Created On", behavior="UserLocal")),
        read_only(Column("modifiedon", "DateTime", display_name="Modified On", behavior="UserLocal")),
        read_only(Column("versionnumber", "BigInt", display_name="Version Number")),
        Column("statecode", "State", display_name="Status", options=states),
        Column("statuscode", "Status", display_name="Status Reason", options=reasons),
    ]


def read_only(column: Column) -> Column:
    """Return a column that the API does not write."""
    return replace(column, valid_for_create=False, valid_for_update=False)


def add_standard_tables(catalog: Catalog, store: Store) -> None:
    """Add the three tables and their relationships to a new organization."""
    for name in NAMES:
        catalog.add_table(_table(name))
    for schema_name, referenced, referencing, lookup, navigation, on_delete in RELATIONSHIPS:
        catalog.add_relationship(
            Relationship(schema_name, referenced, referencing, lookup, navigation, schema_name, on_delete)
        )
    for table in catalog.tables.values():
        store.create_table(table)
        for column in _lookups(table.logical_name):
            table.add(column)
            store.add_column(table, column)


def _table(name: str) -> Table:
    display, plural, primary_name, code = NAMES[name]
    table = Table(name, display, name + "s", name + "id", primary_name, display, plural, object_type_code=code)
    for column in [*system_columns(name + "id"), *_columns(name)]:
        schema_name = column.schema_name or column.logical_name
        table.add(replace(column, schema_name=schema_name, display_name=column.display_name or schema_name))
    return table


def _columns(name: str) -> list[Column]:
    texts = dict(TEXTS[name])
    for number in (1, 2, 3) if name == "contact" else (1, 2):
        texts |= {f"address{number}_{part}": length for part, length in ADDRESS.items()}
    columns = [Column(text, "String", max_length=length) for text, length in texts.items()]
    if name != "account":
        columns.append(read_only(Column("fullname", "String", max_length=160)))
    columns.append(Column("description", "Memo", max_length=2_000))
    columns += [Column(flag, "Boolean") for flag in CONSENT]
    columns += [Column(count, "Integer", minimum=0, maximum=1_000_000_000) for count in INTEGERS[name]]
    columns += [Column(amount, "Money", precision=4) for amount in MONEY[name]]
    columns += [Column(date, "DateTime", format="DateOnly", behavior="DateOnly") for date in DATES[name]]
    columns += [Column(time, "DateTime", format="DateAndTime", behavior="UserLocal") for time in TIMES]
    columns += [Column(f"address1_{axis}", "Double", precision=5) for axis in ("latitude", "longitude")]
    for choice, numbers in CHOICES[name].items():
        columns.append(Column(choice, "Picklist", options=tuple((number, str(number)) for number in numbers)))
    return columns


def _lookups(name: str) -> list[Column]:
    targets: dict[str, list[str]] = {}
    for _, referenced, referencing, lookup, _, _ in RELATIONSHIPS:
        if referencing == name:
            targets.setdefault(lookup, []).append(referenced)
    return [
        Column(lookup, "Customer" if len(tables) > 1 else "Lookup", lookup, lookup, targets=tuple(tables))
        for lookup, tables in targets.items()
    ]
