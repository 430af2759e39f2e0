"""A query over joined tables, as FetchXML, `?sql=` and QueryExpression ask for it: one model, made into SQL here.

Names and operators are checked against the catalog before they get here; values are arguments, never text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

from local.dataverse import access, formatted, values
from local.dataverse.conditions import Sql, numeric
from local.dataverse.errors import DataverseError, bad_query
from local.dataverse.metadata import Column, Table
from local.dataverse.organization import Organization
from local.dataverse.storage import quoted

NUMBERS = ("Integer", "BigInt", "Decimal", "Double", "Money", "Picklist", "State", "Status")
AGGREGATES = ("count", "countcolumn", "sum", "avg", "min", "max")


@dataclass(frozen=True, slots=True)
class Source:
    """A table of the query under its alias."""

    table: Table
    alias: str

    @property
    def sql(self) -> str:
        """The table with its alias, behind FROM or JOIN."""
        return f"{quoted(self.table.logical_name)} AS {quoted(self.alias)}"

    def column(self, name: str) -> Column:
        """Return a column by its logical name. Raises DataverseError."""
        column = self.table.columns.get(name.lower())
        if column is None:
            text = f"'{self.table.logical_name}' entity doesn't contain attribute with Name = '{name}'."
            raise DataverseError(400, "0x80041103", text)
        return column

    def field(self, column: Column) -> str:
        """Return a column's SQL name."""
        return f"{quoted(self.alias)}.{quoted(column.logical_name)}"

    def operand(self, column: Column) -> str:
        """Return a column as it compares."""
        return numeric(column, self.field(column))


@dataclass(frozen=True, slots=True)
class Output:
    """One member of each row. `optional`: it is left out where it is null. `shown` formats the value, if anything."""

    name: str
    sql: str
    write: Callable[[Any], str]
    optional: bool = False
    shown: Callable[[Any], str] | None = None


def plain(source: Source, column: Column, name: str, *, optional: bool = False) -> Output:
    """Return the output of a column's value."""
    return Output(name, source.field(column), values.writer(column), optional, formatted.formatter(column))


def aggregate(source: Source, column: Column | None, function: str, name: str, *, distinct: bool = False) -> Output:
    """Return the output of an aggregate; without a column rows are counted. Raises DataverseError."""
    if column is None or function == "count":
        return Output(name, "count(*)", str)
    operand = source.operand(column)
    if function == "countcolumn":
        return Output(name, f"count({'DISTINCT ' * distinct}{operand})", str)
    if function in ("sum", "avg"):
        if column.kind not in NUMBERS:
            reason = f"'{column.logical_name}' is no number: it has no {function}."
            raise bad_query(reason)
        whole = column.kind not in ("Decimal", "Double", "Money")
        return Output(name, f"{function}({operand})", _whole if whole else _number)
    write = _number if column.kind in ("Decimal", "Money") else values.writer(column)
    return Output(name, f"{function}({operand})", write)


def _whole(value: float) -> str:
    return str(int(value))


def _number(value: float) -> str:
    return format(Decimal(str(round(value, 10))).normalize(), "f")


@dataclass(slots=True)
class Statement:
    """What is read. `groups` and `orders` are SQL; `keyed`: rows are those of the root, with their etags."""

    root: Source
    sources: dict[str, Source]
    joins: list[Sql] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    wheres: list[Sql] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    distinct: bool = False
    keyed: bool = True

    def source(self, alias: str | None) -> Source:
        """Return the table under an alias, the root without one. Raises DataverseError."""
        if alias is None:
            return self.root
        if alias not in self.sources:
            reason = f"There is no table with the alias '{alias}' in the query."
            raise bad_query(reason)
        return self.sources[alias]

    def join(self, organization: Organization, source: Source, condition: Sql, *, inner: bool) -> None:
        """Add a table."""
        reached = _reached(organization, source)
        sql, arguments = condition
        if reached is not None:
            sql, arguments = f"{sql} AND {reached[0]}", [*arguments, *reached[1]]
        self.joins.append((f"{'INNER' if inner else 'LEFT'} JOIN {source.sql} ON {sql}", arguments))

    def rows(self, organization: Organization, limit: int, offset: int = 0) -> list[tuple[Any, ...]]:
        """Return so many rows; each begins with the root's rowversion and primary key where rows are `keyed`."""
        fields = [output.sql for output in self.outputs]
        orders = list(self.orders)
        if self.keyed:
            key = f"{quoted(self.root.alias)}.{quoted(self.root.table.primary_id)}"
            fields = [f"{quoted(self.root.alias)}.versionnumber", key, *fields]
            orders.append(key)
        sql, arguments = self._from(organization)
        if self.groups:
            sql += f" GROUP BY {', '.join(self.groups)}"
        if orders:
            sql += f" ORDER BY {', '.join(orders)}"
        sql = f"SELECT {'DISTINCT ' * self.distinct}{', '.join(fields)}{sql} LIMIT {limit} OFFSET {offset}"
        return organization.store.connection.execute(sql, arguments).fetchall()

    def total(self, organization: Organization, most: int) -> int:
        """Return the number of rows, at most `most`."""
        sql, arguments = self._from(organization)
        counted = f"SELECT count(*) FROM (SELECT 1{sql} LIMIT {most})"
        return int(organization.store.connection.execute(counted, arguments).fetchone()[0])

    def _from(self, organization: Organization) -> Sql:
        reached = _reached(organization, self.root)
        wheres = [*self.wheres, *([reached] if reached else [])]
        sql = f" FROM {self.root.sql} {' '.join(join for join, _ in self.joins)}"
        if wheres:
            sql += f" WHERE {' AND '.join(f'({where})' for where, _ in wheres)}"
        return sql, [value for _, found in (*self.joins, *wheres) for value in found]

    def text(self, row: tuple[Any, ...], *, notes: bool = False) -> str:
        """Return a row as a JSON object; `notes`: with formatted values."""
        members = []
        if self.keyed:
            members.append(f'"@odata.etag":"W/\\"{row[0]}\\""')
            row = row[2:]
        for output, value in zip(self.outputs, row, strict=True):
            if value is None and output.optional:
                continue
            members.append(f"{encode_basestring(output.name)}:{'null' if value is None else output.write(value)}")
            if notes and output.shown and value is not None:
                name = encode_basestring(output.name + formatted.ANNOTATION)
                members.append(f"{name}:{encode_basestring(output.shown(value))}")
        return "{" + ",".join(members) + "}"


def _reached(organization: Organization, source: Source) -> Sql | None:
    reached = access.reached(organization, source.table)
    return None if reached is None else (f"{quoted(source.alias)}.{reached[0]}", reached[1])
