"""What the text of a cell says, as SQL: the spellings that are read, and the number or moment that they mean.

Values are checked by pattern before anything is cast, because casts change them silently: '1.6' as INTEGER is 2, an
11th decimal is rounded, a malformed GUID is accepted, and 5e-999 as DECIMAL is 1. So exponents are written out first.
A `c` is the SQL of the cell; numbers and moments are asked for only where the pattern matches.
"""

from __future__ import annotations

from shared.tables.guids import SPACE, UNREADABLE

NOT_UTF_8 = "the text is not valid UTF-8"

WHOLE = rf"{SPACE}[+-]?[0-9]{{1,25}}(\.0*)?{SPACE}"
NUMBER = rf"{SPACE}[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{{1,3}})?{SPACE}"
BOOLEAN = rf"{SPACE}(true|false|1|0){SPACE}"
_ZERO_ZONE = r"(Z|[+-]00(:?00)?)?"
DATE = rf"{SPACE}[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ]00:00(:00(\.0+)?)?{_ZERO_ZONE})?{SPACE}"
_ZONE = r"(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)?"  # more than 14 hours from Greenwich is no time zone
_TIME = rf"[T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]+)?)? ?{_ZONE}"
MOMENT = rf"{SPACE}[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}({_TIME})?{SPACE}"


def is_unreadable(c: str) -> str:
    """Whether the text was not valid in its encoding."""
    return f"contains({c}, chr({ord(UNREADABLE)}))"


def refusal(c: str, sentence: str) -> str:
    """The sentence about a cell that does not match its pattern; another where it could not be read at all."""
    return f"CASE WHEN {is_unreadable(c)} THEN '{NOT_UTF_8}' ELSE '{sentence}' END"


def bare(c: str) -> str:
    """What stands between the spaces: trim() alone does not take tabs and line ends."""
    return rf"trim({c}, E' \t\r\n\f')"


def truth(c: str) -> str:
    """A BOOLEAN, or NULL where nothing stands."""
    return f"(lower(nullif({bare(c)}, '')) IN ('true', '1'))"


# -- numbers -----------------------------------------------------------------------------------------------

# Zeros on both sides for every exponent that the pattern lets through, so that the point can be put anywhere.
_ZEROS = "repeat('0', 1000)"
_WHOLE_PART = r"regexp_extract({c}, '^[^0-9.]*([0-9]*)', 1)"
_PADDED = rf"({_ZEROS} || {_WHOLE_PART} || regexp_extract({{c}}, '\.([0-9]*)', 1) || {_ZEROS})"
_EXPONENT = "TRY_CAST(regexp_extract({c} || 'e0', '[eE]([+-]?[0-9]+)', 1) AS INTEGER)"
_POINT = f"(1000 + length({_WHOLE_PART}) + {_EXPONENT})"
_SIGN = r"regexp_extract({c}, '^[^0-9.]*(-)', 1)"


def whole(c: str) -> str:
    """A whole number as HUGEINT, or NULL where nothing stands."""
    return f"TRY_CAST({bare(c)} AS HUGEINT)"


def whole_digits(c: str) -> str:
    """The digits of a number before its point, without leading zeros."""
    return f"ltrim(left({_PADDED}, {_POINT}), '0')".format(c=c)


def decimals(c: str) -> str:
    """The digits of a number behind its point, without trailing zeros."""
    return f"rtrim(substr({_PADDED}, {_POINT} + 1), '0')".format(c=c)


def written_out(c: str) -> str:
    """A number without exponent, spaces, a plus, and zeros that say nothing; exactly, however long. No -0."""
    text = f"left({_PADDED}, {_POINT}) || '.' || substr({_PADDED}, {_POINT} + 1)".format(c=c)
    unsigned = rf"regexp_replace({without_zeros(text)}, '^0+([0-9])', '\1')"
    return f"regexp_replace({_SIGN.format(c=c)} || {unsigned}, '^-0$', '0')"


def rounded(c: str, places: int) -> str:
    """A number as DECIMAL, half away from zero; NULL where it has too many digits, which is beyond 1e12.

    DuckDB rounds the text itself by the first digit that is too many, which is right as long as there is no exponent.
    """
    plain = f"CASE WHEN regexp_matches({c}, '[eE]') THEN {written_out(c)} ELSE {bare(c)} END"
    return f"TRY_CAST({plain} AS DECIMAL({_width(places)},{places}))"


def _width(places: int) -> int:
    return 18 if places <= 6 else 38  # DuckDB takes ten times as long for more than 18 digits


def plain(places: int) -> str:
    """The pattern of the numbers below 1e11 that are written out already, but for zeros behind the point."""
    return rf"(0|-?[1-9][0-9]{{0,10}})(\.[0-9]{{0,{places}}})?"


def without_zeros(text: str) -> str:
    """A number that is written out with a point, without the zeros that stand behind it for nothing."""
    return f"rtrim(rtrim({text}, '0'), '.')"


# -- days and moments --------------------------------------------------------------------------------------


def day(c: str) -> str:
    """A DATE, or NULL where the calendar has none."""
    return f"TRY_CAST({bare(c)} AS DATE)"


def moment(c: str) -> str:
    """A TIMESTAMPTZ, or NULL; without a time zone it is UTC. What is finer than a microsecond is cut off.

    ISO 8601 lets a space stand before the time zone and leaves seconds out; DuckDB's cast takes neither.
    """
    text = bare(c)
    closed_up = rf"regexp_replace({text}, ' ?(Z|[+-][0-9:]+)$', '\1')"
    with_seconds = rf"regexp_replace({text}, '^(.{{16}}) ?(Z|[+-][0-9:]+)$', '\1:00\2')"
    return f"coalesce({', '.join(f'TRY_CAST({one} AS TIMESTAMPTZ)' for one in (text, closed_up, with_seconds))})"


def fraction(c: str) -> str:
    """The digits of a moment's fraction of a second, without trailing zeros."""
    return rf"rtrim(regexp_extract({c}, '\.([0-9]+)', 1), '0')"
