"""Messages: what is sent is what is read, and what is not ours is said to be so."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import CorruptSnapshotError
from shared.runs.messages import ChunkMessage, Step, TableMessage, decode_chunk, decode_table, encode

texts = st.text(max_size=20)
numbers = st.integers(0, 10**6)
steps = st.builds(TableMessage, st.sampled_from(Step), texts, texts, texts, numbers)
chunks = st.builds(ChunkMessage, texts, texts, texts, texts, numbers, numbers)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
NAMES = ("step", "environment", "run", "task", "tries", "attempt", "stage", "number")


@given(steps)
def test_a_step_is_read_as_it_was_sent(message: TableMessage) -> None:
    assert decode_table(encode(message)) == message


@given(chunks)
def test_a_chunk_is_read_as_it_was_sent(message: ChunkMessage) -> None:
    assert decode_chunk(encode(message)) == message


@given(st.binary(max_size=40) | st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, json_values)) | json_values)
def test_whatever_else_arrives_is_refused(content: object) -> None:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    for decode in (decode_table, decode_chunk):
        with suppress(CorruptSnapshotError):
            assert isinstance(decode(body), TableMessage | ChunkMessage)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[" * 100_000,
        b"[]",
        b'"text"',
        b"\xff",
        b"{}",
        b'{"step":"dance","environment":"e","run":"r","task":"","tries":0}',
        b'{"step":"plan","environment":"e","run":"r","task":"","tries":1e999}',
    ],
)
def test_a_body_that_is_no_step_is_refused(body: bytes) -> None:
    with pytest.raises(CorruptSnapshotError, match="hydration-tables"):
        decode_table(body)


def test_a_chunk_is_no_step_and_a_step_no_chunk() -> None:
    with pytest.raises(CorruptSnapshotError):
        decode_table(encode(ChunkMessage("e", "r", "t", "a", 1, 1)))
    with pytest.raises(CorruptSnapshotError, match="chunk queues"):
        decode_chunk(encode(TableMessage(Step.PLAN, "e", "r", "t")))


def test_unknown_properties_of_a_newer_version_are_ignored() -> None:
    message = TableMessage(Step.PLAN, "e", "r", "t", 3)
    assert decode_table(json.dumps(json.loads(encode(message)) | {"color": "red"}).encode()) == message


def test_ids_name_the_work_and_not_the_try() -> None:
    assert TableMessage(Step.CLOSE, "e", "r", "t", 7).id == TableMessage(Step.CLOSE, "e", "r", "t").id == "r|close|t"
    assert ChunkMessage("e", "r", "t", "a", 2, 17).id == "r|t|a|2|17"


@given(chunks)
def test_a_message_is_small(message: ChunkMessage) -> None:
    assert b"\n" not in encode(message)
    assert len(encode(message)) < 2048  # bounded by the lengths of names, never by the rows
