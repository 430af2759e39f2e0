"""Row GUIDs: the same content gets the same GUID for ever, so that every upsert is idempotent.

Where the requirement says that the GUID *is* the id ("Customer profile ID") and its text is a GUID, with or without
dashes or braces, that GUID; anything else is UUIDv5 (RFC 4122, section 4.3) of the text in UTF-8 under NAMESPACE.
Microsoft's own algorithm is not published.
"""

from __future__ import annotations

import re
import uuid

NAMESPACE = uuid.UUID("6b1e5d0c-6f4e-5c58-9b0a-3a8e0d2c7f41")
"""Never to be changed: every row that was ever written is named under it."""

SPACE = r"[ \t\r\n\f]*"
"""What may stand around a value. Not \\s: Python and RE2 do not mean the same by it."""

UNREADABLE = "\ufdd0"
"""Stands for bytes that were no text in their encoding. A noncharacter: no text holds it for its own sake.

What holds it is no key: the macros below make NULL of it, as of no text at all.
"""

GUID_PATTERN = (
    SPACE + r"(\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|\{[0-9a-f]{32}\}|[0-9a-f]{32})" + SPACE
)
"""The spellings of a GUID that are read as one, upper or lower case."""

_GUID = re.compile(GUID_PATTERN, re.IGNORECASE | re.ASCII)


def parse(text: str) -> uuid.UUID | None:
    """The GUID that the text spells, or None."""
    return uuid.UUID(text.strip()) if _GUID.fullmatch(text) else None


def from_identifier(identifier: str) -> uuid.UUID:
    """The deterministic GUID of an identifier."""
    return uuid.uuid5(NAMESPACE, identifier)


def of_id(text: str) -> uuid.UUID:
    """The GUID of an id that is itself the key: taken as it is where it is a GUID, else derived."""
    return parse(text) or from_identifier(text)


# The same three as SQL, so that a plan names millions of rows without leaving DuckDB (tested equal to the above, but
# for texts that could not be read).
MACROS = rf"""
CREATE OR REPLACE MACRO is_guid(t) AS regexp_full_match(t, '{GUID_PATTERN}', 'i');
CREATE OR REPLACE MACRO parse_guid(t) AS
    CASE WHEN is_guid(t) THEN regexp_replace(t, '[^0-9a-fA-F]', '', 'g')::UUID END;
CREATE OR REPLACE MACRO format_uuid5(h) AS (
    substr(h, 1, 12) || '5' || substr(h, 14, 3)
    || translate(substr(h, 17, 1), '0123456789abcdef', '89ab89ab89ab89ab') || substr(h, 18, 15))::UUID;
CREATE OR REPLACE MACRO identifier_guid(t) AS
    CASE WHEN NOT contains(t, chr({ord(UNREADABLE)}))
         THEN format_uuid5(sha1(unhex('{NAMESPACE.hex}') || encode(t))) END;
CREATE OR REPLACE MACRO id_guid(t) AS coalesce(parse_guid(t), identifier_guid(t));
"""
