r"""The rows of a task that were refused, in one CSV for people and programs.

Columns: source_key, guid, column, code, message; one line a row, in the order of the GUIDs. UTF-8 with a byte order
mark, so that spreadsheets read it. The source key is the row's key as the lake spells it; a row that was to be removed
has none any more. The column is empty where nobody names one. The code is Dataverse's own (`0x...`; 'refused' where it
gave none), or the plan's word for the kind of fault:

- no_key: an id that the row is named by is empty or cannot be read
- no_row: the key of a source row is not a GUID, so it names none
- no_profile, no_account: the row's customer has no profile; the contact is mapped to no account
- several_customers: more than one customer claims the key
- no_segment: the row names no segment
- not_text, not_json, wrong_type: the cell is no UTF-8, no JSON of its kind, or no value of its column's type
- too_long, out_of_range, too_precise: the column does not take so long a text, such a number or date, such decimals
- invalid: anything else

Nothing in it is taken for a formula, also where a spreadsheet splits lines at `;` or tabs instead, and so knows no cell
of ours: at the beginning of a cell, and behind each `;`, tab and line end in it, an apostrophe stands before what could
be a formula and before an apostrophe. A program takes one away at each of these places where one stands, and has the
text as it was. A negative number alone in its cell stays as it is: no spreadsheet takes it for anything else.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from shared.delta.state import planned
from shared.tables import sql

if TYPE_CHECKING:
    import duckdb

COLUMNS = ("source_key", "guid", "column", "code", "message")
_MARK = b"\xef\xbb\xbf"

WORDS = (
    ("an id that the row is named by is empty", "no_key"),
    ("the value is not a GUID, so it names no row", "no_row"),
    ("no profile has this id", "no_profile"),
    ("the contact is mapped to no account", "no_account"),
    ("the key belongs to [0-9]+ customers|belongs to several customers", "several_customers"),
    ("the row names no segment", "no_segment"),
    ("the text is not valid UTF-8", "not_text"),
    ("the text is [0-9]+ long", "too_long"),
    ("this is not (valid JSON|an object|a list)", "not_json"),
    ("this is not ", "wrong_type"),
    ("is outside of|Dataverse takes no date|more than 64 bits|too large for a double", "out_of_range"),
    ("more than [0-9]+ (decimals|digits)", "too_precise"),
)
"""What a plan's sentence about a row says (a pattern, the first that is found), and the word for it."""

# How Dataverse names a column. A value may stand before its name: of several such places the last one counts.
_NAMED = (
    r"length of the '(\w+)' attribute",
    r".*of '(\w+)' on record of type",
    r"field missing: '(\w+)'",
    r"(?:propert(?:y|ies)|property named|attribute|column):? '(\w+)",
    r"'(\w+)' (?:attribute|column|property|field)",
    r"attribute:? (\w+) cannot be",
)

# What makes a cell a formula, after all that spreadsheets may leave out before it; full-width and small forms too.
_SIGNS = r"=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}\x{FE66}\x{FE62}\x{FE63}\x{FE6B}\x{2212}"
_FORMULA = rf"^(['\x00-\x1f\x7f]|[\s\p{{Z}}\p{{C}}\"]*[{_SIGNS}])"
# The same behind what ends a cell for those who split elsewhere; of a cell that begins so its quotes are left out. What
# ends a cell is not passed over: the apostrophe stands behind the last of such characters.
_PASSED = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}\p{Z}\p{Cf}\p{Co}\"]*"
_INNER = rf"([;\t\r\n])('|{_PASSED}[{_SIGNS}])"
_NUMBER = r"-[0-9]{1,15}(\.[0-9]{1,15})?"


def write(connection: duckdb.DuckDBPyConnection, refused: Path, delta: Path, file: Path) -> bool:
    """Write what the plan rejected (a file) and what Dataverse did (`exception`, of rows of the delta).

    False: there is nothing, and no file.
    """
    words = " ".join(f"WHEN regexp_matches(message, {sql.text(pattern)}) THEN '{word}'" for pattern, word in WORDS)
    connection.execute(rf"""
        CREATE VIEW reject AS
        WITH faulty AS (
            SELECT id, source_key, regexp_extract(fault, '(?s)^(.*): (.*)$', 1) AS "column",
                   regexp_extract(fault, '(?s)^(.*: )?(.*)$', 2) AS message
            FROM read_parquet({sql.text(str(refused))})
        )
        SELECT coalesce(source_key, id::VARCHAR, '') AS source_key, coalesce(id::VARCHAR, '') AS guid, "column",
               CASE {words} ELSE 'invalid' END AS code, message
        FROM faulty
        UNION ALL
        SELECT CASE WHEN d.op = 'remove' THEN '' ELSE coalesce(d.source_key, d.id::VARCHAR) END, d.id::VARCHAR,
               {named_column("e.message")}, coalesce(nullif(e.code, ''), 'refused'), coalesce(e.message, '')
        FROM exception AS e JOIN {planned(delta)} AS d USING (id) WHERE e.kind <> 'missing'""")
    if not connection.execute("SELECT 1 FROM reject LIMIT 1").fetchone():
        return False
    cells = ", ".join(f"{harmless(sql.name(column))} AS {sql.name(column)}" for column in COLUMNS)
    order = ", ".join(sql.name(column) for column in ("guid", *COLUMNS))
    bare = file.with_suffix(".bare")
    connection.execute(
        f"COPY (SELECT {cells} FROM (FROM reject ORDER BY {order})) TO {sql.text(str(bare))} (FORMAT csv, HEADER)"
    )
    with file.open("wb") as target, bare.open("rb") as source:
        target.write(_MARK)
        shutil.copyfileobj(source, target)
    bare.unlink()
    return True


def harmless(c: str) -> str:
    """SQL: the text, with an apostrophe before all that a spreadsheet could take for a formula."""
    guarded = rf"regexp_replace({c}, {sql.text(_INNER)}, '\1''\2', 'g')"
    return (
        f"CASE WHEN regexp_full_match({c}, '{_NUMBER}') OR NOT regexp_matches({c}, {sql.text(_FORMULA)}) "
        f"THEN {guarded} ELSE '''' || {guarded} END"
    )


def named_column(message: str) -> str:
    """SQL: the column that a message of Dataverse names; empty where it names none."""
    found = (f"nullif(regexp_extract({message}, {sql.text(f'(?is){pattern}')}, 1), '')" for pattern in _NAMED)
    return f"coalesce({', '.join(found)}, '')"
