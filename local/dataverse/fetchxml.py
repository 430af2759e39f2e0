"""FetchXML: `GET {set}?fetchXml=<fetch>...`, with joins, conditions, orders, aggregates and pages.

Not served, and refused: hierarchical operators, dates relative to today, cross applies, columns compared with columns.
As documented, null columns are left out, an <entity> without attributes has all of them, and there is no cookie where
rows are ordered by a linked table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from json.encoder import encode_basestring
from urllib.parse import quote
from xml.etree import ElementTree as ET

from local.dataverse import limits, operators
from local.dataverse.call import Call, json_response
from local.dataverse.conditions import Sql
from local.dataverse.errors import DataverseError, bad_query, not_supported
from local.dataverse.metadata import Table
from local.dataverse.query import applied
from local.dataverse.query import notes as notes_of
from local.dataverse.render import Notes
from local.dataverse.statement import AGGREGATES, Source, Statement, aggregate, plain
from local.dataverse.wire import Response

Element = ET.Element
CRM = "@Microsoft.Dynamics.CRM."
LINKS = {"inner": True, "outer": False}
MALFORMED = "0x8004111c"
NAME = re.compile(r"[A-Za-z_]\w{0,100}")


def answer(call: Call, table: Table) -> Response:
    """Answer a query by FetchXML. Raises DataverseError."""
    call.kind = "query"
    call.table = table.logical_name
    if call.method != "GET":
        raise bad_query("FetchXML is sent with GET.")
    root = _parse(call.options.get("fetchXml", ""))
    entity = root.find("entity")
    if root.tag != "fetch" or entity is None:
        raise _malformed("<fetch> with an <entity> is expected.")
    if entity.get("name") != table.logical_name:
        raise bad_query(f"The entity '{entity.get('name')}' of the FetchXML is not that of the set '{table.set_name}'.")
    reader = _Reader(call, table, aggregates=root.get("aggregate") == "true")
    statement = reader.read(entity)
    statement.distinct = root.get("distinct") == "true"
    statement.keyed = not statement.distinct and root.get("aggregate") != "true"
    if statement.distinct:
        statement.outputs = [one for one in statement.outputs if one.name != table.primary_id or _asked(entity, table)]
    return _page(call, table, root, statement, cookies=statement.keyed and not reader.ordered_by_links)


def _asked(entity: Element, table: Table) -> bool:
    return any(found.get("name") == table.primary_id for found in entity.findall("attribute"))


def _malformed(reason: str) -> DataverseError:
    return DataverseError(400, MALFORMED, f"Invalid XML in the FetchXML: {reason}")


def _parse(text: str) -> Element:
    if "<!" in text:
        raise _malformed("declarations are not taken.")
    try:
        return ET.fromstring(text)  # noqa: S314 - without declarations there are no entities to expand
    except ET.ParseError as error:
        raise _malformed(str(error)) from None


def _number(root: Element, name: str) -> int | None:
    text = root.get(name)
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise bad_query(f"Invalid value '{text}' of '{name}'.")
    return int(text)


def _page(call: Call, table: Table, root: Element, statement: Statement, *, cookies: bool) -> Response:
    top, count, page = _number(root, "top"), _number(root, "count"), _number(root, "page") or 1
    if top is not None and (count is not None or page > 1):
        raise bad_query("The attributes 'top' and 'count' or 'page' cannot be used together.")
    size = min(top or count or call.page_rows() or limits.MAX_PAGE_ROWS, limits.MAX_PAGE_ROWS)
    rows = statement.rows(call.organization, size + 1, (page - 1) * size)
    more, wanted = len(rows) > size and top is None, notes_of(call)
    texts = [statement.text(row, notes=wanted is not None and wanted.formatted) for row in rows[:size]]
    members = [f'"@odata.context":{encode_basestring(f"{call.base}$metadata#{table.set_name}")}']
    if root.get("returntotalrecordcount") == "true":
        members.append(f'"{CRM}totalrecordcount":{statement.total(call.organization, limits.MAX_COUNT)}')
    if more and cookies and _asks(wanted, "fetchxmlpagingcookie"):
        cookie = _cookie(table, page, rows[0][1], rows[size - 1][1])
        members.append(f'"{CRM}fetchxmlpagingcookie":{encode_basestring(cookie)}')
    if _asks(wanted, "morerecords"):
        members.append(f'"{CRM}morerecords":{"true" if more else "false"}')
    members.append(f'"value":[{",".join(texts)}]')
    return json_response("{" + ",".join(members) + "}", headers=applied(call))


def _asks(wanted: Notes | None, name: str) -> bool:
    return wanted is not None and wanted.asks(CRM + name)


def _cookie(table: Table, page: int, first: str, last: str) -> str:
    ends = f'<{table.primary_id} last="{{{last.upper()}}}" first="{{{first.upper()}}}" />'
    inner = quote(quote(f'<cookie page="{page}">{ends}</cookie>', safe=""), safe="")
    return f'<cookie pagenumber="{page + 1}" pagingcookie="{inner}" istracking="False" />'


class _Reader:
    """Makes a statement of an <entity>."""

    def __init__(self, call: Call, table: Table, *, aggregates: bool) -> None:
        self.organization = call.organization
        self.aggregates = aggregates
        self.ordered_by_links = False
        root = Source(table, table.logical_name)
        self.statement = Statement(root, {root.alias: root})

    def read(self, entity: Element) -> Statement:
        statement = self.statement
        links = [linked for link in entity.findall("link-entity") for linked in self.link(statement.root, link)]
        statement.wheres += [self.filter(statement.root, found) for found in entity.findall("filter")]
        for source, element in [(statement.root, entity), *links]:
            self.outputs(source, element)
            self.orders(source, element)
        primary = statement.root.table.primary_id
        if not self.aggregates and all(output.name != primary for output in statement.outputs):
            statement.outputs.append(plain(statement.root, statement.root.column(primary), primary))
        return statement

    def link(self, parent: Source, element: Element) -> Iterator[tuple[Source, Element]]:
        """Join a linked table and those below it."""
        table = self.organization.catalog.tables.get(element.get("name", ""))
        if table is None:
            raise DataverseError(400, "0x80041102", f"The entity with a name = '{element.get('name')}' was not found.")
        kind = element.get("link-type", "inner")
        if kind not in LINKS:
            what = f"link-type='{kind}' in FetchXML"
            raise not_supported(what)
        alias = element.get("alias") or self.free(table.logical_name)
        if not NAME.fullmatch(alias) or alias in self.statement.sources:
            raise bad_query(f"The alias '{alias}' of a link-entity is not valid, or not unique.")
        source = self.statement.sources[alias] = Source(table, alias)
        here, there = source.column(element.get("from", "")), parent.column(element.get("to", ""))
        parts: list[Sql] = [(f"{source.field(here)} = {parent.field(there)}", [])]
        parts += [self.filter(source, found) for found in element.findall("filter")]
        self.statement.join(self.organization, source, _together(parts, "AND"), inner=LINKS[kind])
        yield source, element
        for link in element.findall("link-entity"):
            yield from self.link(source, link)

    def free(self, name: str) -> str:
        """Return the alias of a link without one: documented is the table's name; not, what a second one is called."""
        taken = self.statement.sources
        return name if name not in taken else f"{name}{len(taken)}"

    def filter(self, source: Source, element: Element) -> Sql:
        kind = element.get("type", "and")
        if kind not in ("and", "or"):
            raise _malformed(f"a filter's type is and or or, not '{kind}'.")
        parts = [self.filter(source, inner) for inner in element.findall("filter")]
        parts += [self.condition(source, inner) for inner in element.findall("condition")]
        return _together(parts, kind.upper()) if parts else ("1", [])

    def condition(self, source: Source, element: Element) -> Sql:
        if element.get("valueof") is not None:
            what = "valueof in a condition"
            raise not_supported(what)
        if alias := element.get("entityname"):
            source = self.statement.source(alias)
        column = source.column(element.get("attribute", ""))
        texts = [found.text or "" for found in element.findall("value")]
        if (value := element.get("value")) is not None:
            texts.insert(0, value)
        return operators.condition(column, source.operand(column), element.get("operator", ""), texts)

    def outputs(self, source: Source, element: Element) -> None:
        every = source is self.statement.root and not self.aggregates and element.find("attribute") is None
        if every or element.find("all-attributes") is not None:
            for column in source.table.columns.values():
                name = self.name(source, column.logical_name, None)
                self.statement.outputs.append(plain(source, column, name, optional=True))
        for found in element.findall("attribute"):
            self.output(source, found)

    def output(self, source: Source, element: Element) -> None:
        column, alias = source.column(element.get("name", "")), element.get("alias")
        if alias is not None and not NAME.fullmatch(alias):
            raise bad_query(f"The alias '{alias}' of an attribute is not valid.")
        name = self.name(source, column.logical_name, alias)
        function = element.get("aggregate")
        if not self.aggregates:
            self.statement.outputs.append(plain(source, column, name, optional=True))
        elif alias is None:
            raise bad_query("An attribute of an aggregate needs an alias.")
        elif function is not None:
            if function not in AGGREGATES:
                raise bad_query(f"Invalid aggregate '{function}'.")
            distinct = element.get("distinct") == "true"
            self.statement.outputs.append(aggregate(source, column, function, alias, distinct=distinct))
        elif element.get("groupby") == "true":
            if element.get("dategrouping"):
                what = "dategrouping"
                raise not_supported(what)
            self.statement.groups.append(source.field(column))
            self.statement.outputs.append(plain(source, column, alias, optional=True))
        else:
            raise bad_query("An attribute of an aggregate needs 'aggregate' or 'groupby'.")

    def name(self, source: Source, column: str, alias: str | None) -> str:
        if alias is not None:
            return alias
        return source.column(column).property_name if source is self.statement.root else f"{source.alias}.{column}"

    def orders(self, source: Source, element: Element) -> None:
        for found in element.findall("order"):
            down = " DESC" if found.get("descending") == "true" else ""
            if alias := found.get("alias"):
                outputs = [output.sql for output in self.statement.outputs if output.name == alias]
                if not outputs:
                    raise bad_query(f"There is no attribute with the alias '{alias}' to order by.")
                self.statement.orders.append(outputs[0] + down)
                continue
            of = self.statement.source(found.get("entityname")) if found.get("entityname") else source
            self.statement.orders.append(of.operand(of.column(found.get("attribute", ""))) + down)
            self.ordered_by_links |= of is not self.statement.root


def _together(parts: list[Sql], word: str) -> Sql:
    sql = f" {word} ".join(f"({part})" for part, _ in parts)
    return f"({sql})", [value for _, found in parts for value in found]
