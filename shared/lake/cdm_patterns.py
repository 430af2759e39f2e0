"""Files that a manifest.cdm.json names by a pattern.

Source: the object model's own reading of globPattern and regularExpression: a pattern is matched against the whole path
below its folder, with a leading slash; where both are given the glob counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.lake.cdm_document import PatternPart
from shared.lake.faults import EntityFault
from shared.lake.location import shown

_STEP = "[^/]"
_LONGEST = 1000
_GLOBSTAR = re.compile(r"(?:(?<=/)|^)\*\*(?:/|$)")
_TOKEN = re.compile(r"\*+|\?|[^*?]+")


def matching(pattern: PatternPart, below: Sequence[str], root: str) -> list[str]:
    """Which of the paths below the folder `root` the pattern names. Raises EntityFault for a pattern that is none."""
    # Imported when it is needed (a quarter second): its expressions take linear time, whatever a manifest says.
    import duckdb  # noqa: PLC0415

    expression = _expression(pattern)
    paths = "\0".join(path[len(root) :] for path in below)  # one text: a list is bound item by item, slowly
    query = "SELECT path FROM (SELECT unnest(string_split($1, chr(0))) AS path) WHERE regexp_full_match(path, $2)"
    try:
        with duckdb.connect() as connection:
            found = connection.execute(query, [paths, expression]).fetchall()
    except duckdb.Error:
        raise EntityFault(f"the pattern {text_of(pattern)} is no expression that can be used") from None
    return sorted(f"{root}{path}" for (path,) in found if path)


def text_of(pattern: PatternPart) -> str:
    """The pattern as it may be shown."""
    return shown((pattern.glob or "").strip() or (pattern.expression or "").strip())


def _expression(pattern: PatternPart) -> str:
    glob, expression = (pattern.glob or "").strip(), (pattern.expression or "").strip()
    if not glob and not expression:
        raise EntityFault(f"the pattern {shown(pattern.name or '')} has neither globPattern nor regularExpression")
    if len(glob or expression) > _LONGEST:
        raise EntityFault(f"the pattern {text_of(pattern)} is longer than {_LONGEST} characters")
    return _of_glob(glob) if glob else expression


def _of_glob(glob: str) -> str:
    """The expression of a glob: `?` and `*` stay in a folder, `**` between slashes is any number of folders."""
    rest, made, at = glob.replace("\\", "/").removeprefix("/"), ["/"], 0
    for star in _GLOBSTAR.finditer(rest):
        made += [_of_steps(rest[at : star.start()]), "(?:.*/)?" if star[0].endswith("/") else ".*"]
        at = star.end()
    return "".join([*made, _of_steps(rest[at:])])


def _of_steps(text: str) -> str:
    signs = {"?": _STEP, "*": f"{_STEP}*"}
    return "".join(signs.get(token[0], re.escape(token)) for token in _TOKEN.findall(text))
