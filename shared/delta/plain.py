"""A CSV file as DuckDB reads it without fault and without silence: UTF-8, and rows that end with LF.

DuckDB takes other encodings and gzip too, but then it may end early and say nothing: rows that end with CRLF in UTF-16
or Latin-1 are read as no row at all, a gzip file that was cut off as a shorter one. Such files are copied first.
So are files with bytes that are no text in their encoding, once they were found: DuckDB would refuse the whole file.
In the copy UNREADABLE stands for each such sequence, and only the rows that hold one are rejected.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.errors import CorruptSnapshotError
from shared.lake.manifest import FileFormat
from shared.tables.guids import UNREADABLE

HEAD = 256 * 1024
"""Bytes that are looked at before a file is read."""

_UTF_8 = {"utf-8", "utf-8-sig", "ascii"}
_READABLE = _UTF_8 | {"utf-16", "utf-16-le", "utf-16-be", "iso8859-1", "cp1252"}
_GZIP = 31  # zlib's number for a gzip header and its checksum
_PIECE = 4 * 1024 * 1024
_MOST_OF_A_ROW = 16 * 1024 * 1024  # characters; DuckDB is told to refuse half of it


class NotTextError(CorruptSnapshotError):
    """A file holds bytes that are no text in its encoding. Read once more and mended, only their rows are lost."""


def _mend(fault: UnicodeError) -> tuple[str, int]:
    """Replaces what the decoder calls one invalid sequence, which never reaches into the valid character after it."""
    if not isinstance(fault, UnicodeDecodeError):
        raise fault
    return UNREADABLE, fault.end


MEND = "hydration.mend"
"""Decoding with these `errors` puts UNREADABLE for each invalid sequence."""

codecs.register_error(MEND, _mend)


@dataclass(frozen=True)
class Beginning:
    """What the first bytes of a file tell.

    `record` holds the cells of the first row, None where it does not end within them; `filled` says whether anything
    follows it; `in_place` whether DuckDB can read the file as it is.
    """

    record: list[str] | None
    filled: bool
    in_place: bool


def refuse_unreadable(form: FileFormat, path: str) -> None:
    """Raises CorruptSnapshotError for an encoding or a compression that cannot be read."""
    if form.encoding not in _READABLE:
        raise CorruptSnapshotError(f"The file {path} is said to be in {form.encoding}: UTF-8 is expected.")
    if form.compression not in {"none", "gzip"}:
        raise CorruptSnapshotError(
            f"The file {path} is compressed with {form.compression}, which is not supported: gzip or none is expected."
        )


def beginning(head: bytes, form: FileFormat, path: str, *, whole: bool) -> Beginning:
    """What the first bytes of a file tell; `whole`: there are no others. Raises CorruptSnapshotError."""
    text, complete = _text_of(head, form, path, whole=whole)
    if "\0" in text:
        raise CorruptSnapshotError(
            f"The file {path} holds NUL characters: it is no text in {form.encoding}, perhaps in UTF-16."
        )
    end = _end_of_first(text, form)
    newline = "" if end is None else "\r\n" if text.startswith("\r\n", end) else text[end]
    alike = newline == "\n" or (not newline and complete)
    known = end is not None or complete
    return Beginning(
        record=_cells(text[:end], form) if known else None,
        filled=not complete or bool(text[end:].strip() if end is not None else ""),
        in_place=alike and form.encoding in _UTF_8 and form.compression == "none",
    )


def write_copy(
    blocks: Iterable[bytes], form: FileFormat, path: str, copy: Path, *, mend: bool = False, in_place: bool = False
) -> None:
    """Write the file's blocks to `copy`, in UTF-8 and with rows that end with LF. Raises CorruptSnapshotError.

    Invalid bytes raise NotTextError, or are mended. What could be read `in_place` keeps its line ends, so that a CR
    amid its rows is refused as it is there.
    """
    if form.compression == "gzip":
        blocks = _inflated(blocks, path)
    texts = _decoded(blocks, form, path, errors=MEND if mend else "strict")
    with copy.open("w", encoding="utf-8", newline="") as stream:
        stream.writelines(texts if in_place else line_feeds(texts, form))


def line_feeds(texts: Iterable[str], form: FileFormat) -> Iterator[str]:
    """The text with LF for CRLF and CR outside of quotes.

    A quote opens a value only where the value begins, spaces aside, as DuckDB has it: 5" is five inches. What has the
    shape of no row (a quote that does not end) stays as it is: DuckDB says what is wrong with it.
    """
    row, held, arriving = _row_pattern(form), "", iter(texts)
    for text in arriving:
        content, place = held + text, 0
        pieces: list[str] = []
        while found := row.match(content, place):
            pieces += (content[place : found.start(1)], "\n")
            place = found.end()
        held = content[place:]
        yield "".join(pieces)
        if len(held) > _MOST_OF_A_ROW:
            yield held
            yield from arriving
            return
    # A line end that stands last may have been the first half of one.
    yield held[:-1] + "\n" if held.endswith("\r") and row.fullmatch(held + "\n") else held


def count_rows(blocks: Iterable[bytes], form: FileFormat, path: str, width: int) -> int | None:
    """The rows of a file in UTF-8 with LF, its header among them; None where one has not `width` columns.

    Exact and slow (some 100 MB a second). Raises NotTextError for text that is not UTF-8.
    """
    row, held, rows = _row_pattern(form, width), "", 0
    for text in itertools.chain(_decoded(blocks, form, path), ["\n"]):
        content, place = held + text, 0
        while found := row.match(content, place):
            rows += found.start(1) > place  # empty lines are no rows
            place = found.end()
        held = content[place:]
        if len(held) > _MOST_OF_A_ROW:
            return None
    return None if held else rows


def _row_pattern(form: FileFormat, width: int | None = None) -> re.Pattern[str]:
    """One row with its line end as group 1. Nothing is tried twice: a row is either read in one go or is none yet.

    With a width it must have so many columns, or be empty, and nothing may follow a closing quote.
    """
    delimiter, spaces = re.escape(form.delimiter), "" if form.delimiter == " " else " *+"
    rest = rf"[^{delimiter}\r\n]*+"
    after = spaces if width else rest
    field = rf"(?:{spaces}\"(?:[^\"]++|\"\")*+\"{after}|(?!{spaces}\"){rest})" if form.quoted else rest
    more = f"(?:{delimiter}{field})"
    fields = rf"(?:{field}{more}{{{width - 1}}}+|(?=\n))" if width else f"{field}{more}*+"
    return re.compile(rf"{fields}(\r\n|\n|\r(?!\Z))")


# -- bytes to text -----------------------------------------------------------------------------------------


def _text_of(head: bytes, form: FileFormat, path: str, *, whole: bool) -> tuple[str, bool]:
    """The text of the first bytes, and whether it is all there is."""
    if form.compression == "gzip":
        inflate = zlib.decompressobj(_GZIP)
        try:
            head = inflate.decompress(head, HEAD)
        except zlib.error:
            raise _damaged(path) from None
        whole = whole and inflate.eof and not inflate.unused_data
    try:
        text = codecs.getincrementaldecoder(_codec(form))(errors="replace").decode(head, final=whole)
    except UnicodeError:  # UTF-16 without its mark: which byte comes first?
        raise _not_text(form, path) from None
    return text.removeprefix("\ufeff"), whole


def _codec(form: FileFormat) -> str:
    return "utf-8" if form.encoding in _UTF_8 else form.encoding


def _decoded(blocks: Iterable[bytes], form: FileFormat, path: str, errors: str = "strict") -> Iterator[str]:
    decoder, first = codecs.getincrementaldecoder(_codec(form))(errors=errors), True
    try:
        for block in blocks:
            text = decoder.decode(block)
            yield text.removeprefix("\ufeff") if first else text
            first = first and not text
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise _not_text(form, path, NotTextError) from None
    except UnicodeError:  # UTF-16 without its mark
        raise _not_text(form, path) from None


def _not_text(
    form: FileFormat, path: str, error: type[CorruptSnapshotError] = CorruptSnapshotError
) -> CorruptSnapshotError:
    return error(f"The text of the file {path} is not valid {form.encoding.upper()}.")


def _inflated(blocks: Iterable[bytes], path: str) -> Iterator[bytes]:
    """The content of a gzip file, which may consist of several one after the other; its checksum is verified."""
    inflate = zlib.decompressobj(_GZIP)
    try:
        for block in blocks:
            rest = block
            while rest:
                if inflate.eof:
                    rest = rest.lstrip(b"\0")  # padding
                    inflate = zlib.decompressobj(_GZIP) if rest else inflate
                yield inflate.decompress(rest, _PIECE)
                rest = inflate.unconsumed_tail or inflate.unused_data if rest else b""
    except zlib.error:
        raise _damaged(path) from None
    if not inflate.eof:
        raise CorruptSnapshotError(f"The compressed file {path} is cut off.")


def _damaged(path: str) -> CorruptSnapshotError:
    return CorruptSnapshotError(f"The compressed file {path} is damaged, or is not gzip.")


# -- the first row -----------------------------------------------------------------------------------------


def _end_of_first(text: str, form: FileFormat) -> int | None:
    """Where the first row ends; None where no line end follows it."""
    quoted, begins = False, True
    for place, character in enumerate(text):
        if quoted:
            quoted = character != '"'  # a doubled one closes, and opens again
        elif character in "\r\n":
            return place
        elif character == '"' and form.quoted and begins:
            quoted = True
        else:
            begins = character == form.delimiter or (begins and character == " ")
    return None


def _cells(line: str, form: FileFormat) -> list[str] | None:
    class Dialect(csv.excel):
        delimiter = form.delimiter
        quoting = csv.QUOTE_MINIMAL if form.quoted else csv.QUOTE_NONE
        skipinitialspace = True

    try:
        return next(csv.reader(io.StringIO(line, newline=""), Dialect), None)
    except csv.Error:
        return None  # longer than any name
