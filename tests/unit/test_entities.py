"""Rows of Azure Tables: what is written is what is read, and keys are safe and never collide."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.delta.counts import Counts
from shared.runs.entities import from_entity, key, newest_first, to_entity
from shared.runs.model import Chunk, Environment, Files, Kind, Mode, Phase, Run, Status, Task, TaskPhase
from shared.runs.rows import Asked, Lock, Moved, Owner, Pointer

SAFE = re.compile(r"[A-Za-z0-9._ =-]*")
moments = st.none() | st.datetimes(timezones=st.just(UTC))
texts = st.text(max_size=30)
tuples = st.lists(texts, max_size=4).map(tuple)
numbers = st.integers(0, 2**31 - 1)
rows = st.one_of(
    st.builds(Environment, texts, texts, moments, moments, texts, texts, texts, moments, texts, texts),
    st.builds(
        Run, texts, texts, st.sampled_from(Mode), st.booleans(), tuples, texts, texts, st.sampled_from(Status), texts,
        st.sampled_from(Phase), texts, st.sampled_from(Status), numbers, numbers, numbers, texts, texts,
        st.sampled_from(Files), moments, moments, moments, texts, moments, texts,
    ),
    st.builds(
        Task, texts, texts, texts, st.sampled_from(Kind), texts, st.sampled_from(Status), texts,
        st.sampled_from(TaskPhase), sources=tuples, notes=tuples, lease_until=moments, tries=numbers,
        counts=st.builds(Counts, *[numbers] * 11), etag=texts,
    ),
    st.builds(Chunk, texts, texts, texts, numbers, numbers, numbers, st.booleans(), numbers, lease_until=moments),
    st.builds(Lock, texts, texts),
    st.builds(Moved, moments),
    st.builds(Asked, moments, texts),
    st.builds(
        Pointer, texts, texts, texts, texts, texts, succeeded=st.booleans(), pending=tuples, refused=texts, etag=texts
    ),
    st.builds(Owner, texts, texts),
)  # fmt: skip


@given(rows)
def test_a_row_is_read_as_it_was_written(row: object) -> None:
    entity = to_entity(row, "p", "r")
    assert (entity["PartitionKey"], entity["RowKey"]) == ("p", "r")
    assert "etag" not in entity
    assert {type(content) for content in entity.values()} <= {str, int, bool}, "no type that the service may change"
    assert from_entity(type(row), entity, getattr(row, "etag", "")) == row


def test_missing_properties_have_their_default_and_unknown_ones_are_ignored() -> None:
    entity = {"PartitionKey": "p", "RowKey": "r", "id": "x", "environment": "e", "Timestamp": "now", "color": "red"}
    assert from_entity(Run, entity, "W/1") == Run("x", "e", etag="W/1")
    assert from_entity(Run, entity, None).etag == ""


def test_counts_of_a_newer_version_are_readable() -> None:
    entity = to_entity(Task("r", "k", "n", Kind.TABLE, "s"), "p", "r") | {"counts": '{"created": 3, "guessed": 1}'}
    assert from_entity(Task, entity, "").counts == Counts(created=3)


@pytest.mark.parametrize("text", ["a" * 40_000, "é" * 40_000, "\U0001f600" * 40_000, "x" + "\U0001f600" * 40_000])
def test_a_long_text_is_cut_to_what_a_property_takes(text: str) -> None:
    entity = to_entity(Run("x", "e", detail=text), "p", "r")
    assert len(entity["detail"].encode("utf-16-le")) <= 64 * 1024
    assert text.startswith(entity["detail"])
    assert len(entity["detail"]) >= 14_999


def test_what_cannot_be_cut_is_refused_rather_than_made_unreadable() -> None:
    with pytest.raises(ValueError, match=r"Run\.tables is too long"):
        to_entity(Run("x", "e", tables=("name" * 10,) * 1000), "p", "r")


def test_what_just_fits_is_kept() -> None:
    characters = 30_000 - len('[""]')
    names = ("x" * characters,)
    assert from_entity(Run, to_entity(Run("x", "e", tables=names), "p", "r"), "").tables == names
    with pytest.raises(ValueError, match=r"Run\.tables is too long"):
        to_entity(Run("x", "e", tables=(f"{names[0]}x",)), "p", "r")


def test_half_a_character_is_left_out() -> None:
    entity = to_entity(Run("x", "e", detail="a\ud800b"), "p", "r")
    assert from_entity(Run, entity, "").detail == "ab"


def test_every_field_of_a_row_has_a_type_that_is_read_back() -> None:
    @dataclass(frozen=True)
    class Odd:
        when: datetime | None = None
        what: tuple[str, ...] = ()

    odd = Odd(datetime(2026, 1, 1, tzinfo=UTC), ("a", "b,c"))
    assert from_entity(Odd, to_entity(odd, "p", "r"), "") == odd
    assert {field.name for field in fields(Odd)} == {"when", "what"}


# -- keys ------------------------------------------------------------------------------------------------


@given(st.text() | st.text(min_size=90, max_size=400))
def test_a_key_is_safe(text: str) -> None:
    assert SAFE.fullmatch(key(text))
    assert len(key(text)) <= 300


@given(st.text(), st.text())
def test_two_texts_never_share_a_key(one: str, other: str) -> None:
    assert (key(one) == key(other)) == (one == other)


@given(st.text(max_size=24))
def test_a_key_can_be_read_back(text: str) -> None:
    raw = re.sub(rb"=([0-9a-f]{2})", lambda m: bytes.fromhex(m[1].decode()), key(text).encode())
    assert raw.decode("utf-8", "surrogatepass") == text


def test_long_texts_that_differ_at_the_end_have_keys_that_differ() -> None:
    keys = {key("x" * number) for number in range(290, 310)} | {key("/" * 200 + end) for end in ("", "a", "b")}
    assert len(keys) == 23
    assert key("x" * 300) == "x" * 300
    assert key("x" * 301).startswith("x" * 234 + "==")


@pytest.mark.parametrize("text", ["=2f", "/", "a/b", "a=2fb", "#?%\\", "\ud800", "Ünïfied", "\x00\x7f\x85"])
def test_awkward_texts_have_a_key(text: str) -> None:
    assert SAFE.fullmatch(key(text))


@given(st.datetimes(), st.datetimes())
def test_the_newest_run_stands_first(one: datetime, other: datetime) -> None:
    ids = sorted(f"{at:%Y%m%dT%H%M%S%f}-abc" for at in (one.replace(year=2024), other.replace(year=2028)))
    assert sorted(map(newest_first, ids)) == [newest_first(ids[1]), newest_first(ids[0])]


@given(st.text(alphabet="0123456789abcdefT-"))
def test_a_runs_id_is_turned_back(run_id: str) -> None:
    assert newest_first(newest_first(run_id)) == run_id


def test_the_version_is_not_part_of_the_row() -> None:
    run = Run("x", "e")
    assert to_entity(replace(run, etag="W/1"), "p", "r") == to_entity(run, "p", "r")
