"""Reads `hydration.toml`. Every fault is collected; what is returned after a fault is not used."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import cast

from shared.settings.checks import Section, guid, web_address
from shared.settings.model import (
    Audience,
    DataSource,
    Environment,
    Hydration,
    OnRemovedLink,
    OnRemovedRow,
    Removal,
    SourceTable,
)
from shared.settings.tables import table_options

_KEYS = (
    "publisher_prefix", "settle_seconds", "whole_within", "environments", "data_sources", "tables", "removal",
    "retention_days",
)  # fmt: skip
_FOLDER_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_PREFIX = re.compile(r"(?!mscrm)[a-z][a-z0-9]{1,7}")  # the rule of Dataverse for customization prefixes
_LOGICAL_NAME = re.compile(r"[a-z][a-z0-9_]{0,127}")
_URL = 'the address of an organization, such as "https://contoso.crm.dynamics.com"'


def read(path: Path, faults: list[str]) -> Hydration:
    """The configuration of the file. Source: the project's own format, described by the comments in the file."""
    return parse(_content(path, faults), faults, path.name)


def parse(content: dict[str, object], faults: list[str], file: str) -> Hydration:
    """The configuration in the values of the file."""
    top = Section(content, (), _KEYS, faults, file)
    return Hydration(
        publisher_prefix=_prefix(top),
        settle_seconds=top.number("settle_seconds", 120, 0, 86_400),
        whole_within_seconds=top.duration("whole_within", 7200),
        environments=_environments(top),
        data_sources=_data_sources(top),
        tables=table_options(top),
        removal=_removal(top),
        retention_days=top.number("retention_days", 30, 1, 3650),
    )


def _content(path: Path, faults: list[str]) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        faults.append(f"HYDRATION_CONFIG names {path}, which does not exist: it must be the configuration file.")
    except OSError as error:
        faults.append(f"HYDRATION_CONFIG names {path}, which must be a readable file: {error.strerror}.")
    except UnicodeDecodeError:
        faults.append(f"{path.name} must be text in UTF-8.")
    except tomllib.TOMLDecodeError as error:
        faults.append(f"{path.name} must be TOML: {error}.")
    # One environment that cannot clash keeps a fault of the file from being followed by "no environment".
    return {"environments": {"unread": {"dataverse_url": "https://unread.invalid"}}}


def _prefix(top: Section) -> str:
    prefix = (top.text("publisher_prefix") or "msdynci").lower()
    if not _PREFIX.fullmatch(prefix):
        top.fault("publisher_prefix", 'two to eight letters and digits that begin with a letter and not with "mscrm"')
    return prefix


def _environments(top: Section) -> Mapping[str, Environment]:
    found = {name: _environment(top, name, values) for name, values in top.tables("environments").items()}
    if not found and isinstance(top.value("environments", {}), dict):
        top.fault("environments", 'at least one table [environments."<id>"], where ci_<id> is a folder of the lake')
    first: dict[str, str] = {}
    for one in found.values():
        if one.dataverse_url and one.dataverse_url in first:
            where = top.key("environments", one.id, "dataverse_url")
            other = top.key("environments", first[one.dataverse_url])
            top.say(
                "environments",
                f"must not bind two environments to one organization: {where} is the one of {other} too.",
            )
        first.setdefault(one.dataverse_url, one.id)
    return MappingProxyType(found)


def _environment(top: Section, name: str, values: object) -> Environment:
    section = top.section(values, ("environments", name), ("dataverse_url", "audience", "organization_id"))
    if not _FOLDER_SAFE.fullmatch(name) or name.startswith("ci_"):
        top.say("environments", f'"{name}" must be the id of an environment: the name of its folder without "ci_".')
    organization = section.text("organization_id")
    if organization is not None and guid(organization) is None:
        section.fault("organization_id", "the GUID of the organization")
    url = _organization_url(section, "dataverse_url")
    if url is None and section.value("dataverse_url") is None:
        section.fault("dataverse_url", _URL)
    return Environment(
        id=name,
        dataverse_url=url or "",
        audience=cast("Audience", section.choice("audience", ("individuals", "businesses"), "individuals")),
        organization_id=guid(organization) if organization else None,
    )


def _organization_url(section: Section, name: str) -> str | None:
    text = section.text(name)
    url = web_address(text) if text else None
    if text and url is None:
        section.fault(name, _URL)
    return url


def _data_sources(top: Section) -> Mapping[str, DataSource]:
    found = {}
    for name, values in top.tables("data_sources").items():
        section = top.section(values, ("data_sources", name), ("dataverse", "tables"))
        if not name.strip():
            top.say("data_sources", "must not hold a data source without a name.")
        tables = {table: _source_table(section, name, table, one) for table, one in section.tables("tables").items()}
        found[name] = DataSource(name, _organization_url(section, "dataverse"), MappingProxyType(tables))
    return MappingProxyType(found)


def _source_table(source: Section, data_source: str, name: str, values: object) -> SourceTable:
    section = source.section(values, ("tables", name), ("logical_name", "primary_key"))
    if not name.strip():
        source.say("tables", "must not hold a table without a name.")
    logical_name = section.text("logical_name")
    if logical_name is not None and not _LOGICAL_NAME.fullmatch(logical_name.lower()):
        section.fault("logical_name", 'the logical name of a Dataverse table, such as "contact"')
    return SourceTable(
        data_source=data_source,
        name=name,
        logical_name=logical_name.lower() if logical_name else None,
        primary_key=section.text("primary_key"),
    )


def _removal(top: Section) -> Removal:
    section = top.section(top.value("removal", {}), ("removal",), ("rows", "links", "brake_percent"))
    rows = cast("OnRemovedRow", section.choice("rows", ("delete", "keep"), "delete"))
    links = cast("OnRemovedLink", section.choice("links", ("clear", "keep"), "clear"))
    if links == "keep" and rows == "delete":
        # A lookup that is kept restricts the delete of the profile it points to.
        section.say("links", '= "keep" needs removal.rows = "keep": a profile that is still linked cannot be deleted.')
    return Removal(rows, links, section.number("brake_percent", 10, 0, 100))
