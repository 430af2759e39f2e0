"""The words of an SQL statement, and a reader that takes them one after another."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from local.dataverse.errors import DataverseError, bad_query

Found = TypeVar("Found")
Token = tuple[str, str]
TOKEN = re.compile(
    r"\s*(?:N?'(?P<text>(?:[^']|'')*)'|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*)|\[(?P<quoted>\w+)\]"
    r"|(?P<mark><>|<=|>=|!=|[(),.*=<>]))"
)
KEYWORDS = frozenset(
    {"SELECT", "DISTINCT", "TOP", "FROM", "AS", "INNER", "LEFT", "OUTER", "JOIN", "ON", "WHERE", "GROUP", "ORDER", "BY",
     "AND", "OR", "NOT", "IN", "IS", "NULL", "LIKE", "BETWEEN", "ASC", "DESC",
     "OFFSET", "ROW", "ROWS", "FETCH", "NEXT", "FIRST", "ONLY"}
)  # fmt: skip
REFUSED = frozenset({"HAVING", "UNION", "EXCEPT", "INTERSECT", "CROSS", "RIGHT", "FULL", "WITH", "EXISTS"})


class Tokens:
    """The tokens of a statement that are left: pairs of a kind (text, number, name, word, mark) and what it says."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = self._read(text)

    def error(self, reason: str) -> DataverseError:
        """Return the refusal of the statement."""
        return bad_query(f"The SQL statement '{self.text}' is not supported: {reason}.")

    def _read(self, text: str) -> list[Token]:
        found: list[Token] = []
        position, end = 0, len(text.rstrip())
        while position < end:
            match = TOKEN.match(text, position)
            if match is None:
                raise self.error(f"it cannot be read from '{text[position : position + 20]}' on")
            kind = str(match.lastgroup)
            word = match[kind]
            if kind == "name" and word.upper() in REFUSED:
                raise self.error(f"{word.upper()} is not served")
            if kind == "name" and word.upper() in KEYWORDS:
                kind, word = "word", word.upper()
            found.append(("name" if kind == "quoted" else kind, word.replace("''", "'") if kind == "text" else word))
            position = match.end()
        return found

    def ahead(self, *words: str) -> bool:
        """Say whether the next tokens are these words or marks."""
        return [word for kind, word in self.tokens[: len(words)] if kind in ("word", "mark")] == list(words)

    def passed(self, *words: str) -> bool:
        """Take these words if they are next."""
        if not self.ahead(*words):
            return False
        del self.tokens[: len(words)]
        return True

    def expect(self, *words: str) -> None:
        """Take these words. Raises DataverseError when they are not next."""
        if not self.passed(*words):
            raise self.error(f"{' '.join(words)} is expected")

    def take(self, *kinds: str) -> str:
        """Take a token of one of these kinds. Raises DataverseError when another one is next."""
        if not self.tokens or self.tokens[0][0] not in kinds:
            raise self.error(f"a {' or '.join(kinds)} is expected")
        return self.tokens.pop(0)[1]

    def several(self, part: Callable[[], Found]) -> list[Found]:
        """Return what stands between commas."""
        found = [part()]
        while self.passed(","):
            found.append(part())
        return found
