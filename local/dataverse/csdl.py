"""`$metadata`: the tables of an organization as an OData service describes them (CSDL), always in XML.

Of functions and actions only WhoAmI and the bulk actions are in it. With `annotations=true`, sets whose changes are
tracked say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

from local.dataverse import errors, values
from local.dataverse.call import Call
from local.dataverse.metadata import LOOKUPS, Catalog, Column, Table
from local.dataverse.paths import Segment
from local.dataverse.wire import Response

HEAD = (
    '<?xml version="1.0" encoding="utf-8"?><edmx:Edmx Version="4.0" '
    'xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>'
    '<Schema Namespace="Microsoft.Dynamics.CRM" Alias="mscrm" xmlns="http://docs.oasis-open.org/odata/ns/edm">'
    '<EntityType Name="crmbaseentity" Abstract="true" />'
    '<ComplexType Name="WhoAmIResponse"><Property Name="BusinessUnitId" Type="Edm.Guid" Nullable="false" />'
    '<Property Name="UserId" Type="Edm.Guid" Nullable="false" />'
    '<Property Name="OrganizationId" Type="Edm.Guid" Nullable="false" /></ComplexType>'
    '<Function Name="WhoAmI"><ReturnType Type="mscrm.WhoAmIResponse" Nullable="false" /></Function>'
)
FOOT = "</Schema></edmx:DataServices></edmx:Edmx>"
TRACKING = (
    '<Annotation Term="Org.OData.Capabilities.V1.ChangeTracking"><Record>'
    '<PropertyValue Property="Supported" Bool="true" /></Record></Annotation>'
)
BULK = ("CreateMultiple", "UpdateMultiple", "UpsertMultiple")


def answer(call: Call, path: list[Segment]) -> Response:
    """Answer GET $metadata."""
    call.kind = "metadata read"
    if call.method != "GET" or len(path) > 1:
        raise errors.method_not_allowed(call.method)
    catalog = call.organization.catalog
    parts = [HEAD]
    for table in catalog.tables.values():
        parts += _entity(catalog, table)
        parts += _actions(table)
    parts += _container(catalog, annotated=call.options.get("annotations") == "true")
    text = "".join([*parts, FOOT])
    return Response(200, text.encode(), [("OData-Version", "4.0"), ("Cache-Control", "no-cache")], "application/xml")


def _entity(catalog: Catalog, table: Table) -> Iterator[str]:
    yield f'<EntityType Name="{table.logical_name}" BaseType="mscrm.crmbaseentity">'
    yield f'<Key><PropertyRef Name="{table.primary_id}" /></Key>'
    for column in table.columns.values():
        yield _property(column)
    for name, one in sorted(catalog.navigations(table.logical_name).items()):
        target = catalog.tables[one.referenced]
        yield f'<NavigationProperty Name={quoteattr(name)} Type="mscrm.{one.referenced}" Nullable="true" '
        yield f"Partner={quoteattr(one.collection)}>"
        lookup = table.columns[one.column].property_name
        yield f'<ReferentialConstraint Property="{lookup}" ReferencedProperty="{target.primary_id}" />'
        yield "</NavigationProperty>"
    for name, one in sorted(catalog.collections(table.logical_name).items()):
        kind = f"Collection(mscrm.{one.referencing})"
        yield f'<NavigationProperty Name={quoteattr(name)} Type="{kind}" Partner={quoteattr(one.navigation)} />'
    for name, pairs in sorted(catalog.paired(table.logical_name).items()):
        other = pairs.other(table.logical_name)
        yield f'<NavigationProperty Name={quoteattr(name)} Type="Collection(mscrm.{other})" />'
    yield "</EntityType>"


def _property(column: Column) -> str:
    kind = "Edm.Guid" if column.kind in LOOKUPS else values.edm_type(column)
    unicode = ' Unicode="false"' if kind == "Edm.String" else ""
    return f'<Property Name="{column.property_name}" Type="{kind}"{unicode} />'


def _actions(table: Table) -> Iterator[str]:
    collection = f"Collection(mscrm.{table.logical_name})"
    for name in BULK:
        yield f'<Action Name="{name}" IsBound="true">'
        yield f'<Parameter Name="entityset" Type="{collection}" Nullable="false" />'
        yield f'<Parameter Name="Targets" Type="{collection}" Nullable="false" />'
        if name == "CreateMultiple":
            yield '<ReturnType Type="Collection(Edm.Guid)" Nullable="false" />'
        yield "</Action>"


def _container(catalog: Catalog, *, annotated: bool) -> Iterator[str]:
    yield '<EntityContainer Name="System"><FunctionImport Name="WhoAmI" Function="mscrm.WhoAmI" />'
    for name, table in sorted(catalog.sets.items()):
        kind = f"Microsoft.Dynamics.CRM.{table.logical_name}"
        inside = TRACKING if annotated and table.tracks_changes else ""
        yield f'<EntitySet Name="{name}" EntityType="{kind}">{inside}</EntitySet>'
    yield "</EntityContainer>"
