"""What is noted of the rows of a chunk that came to something else than written, and what of the chunk itself."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from shared.dataverse.bulk import RowFault
from shared.errors import TransientError
from shared.runs import paths
from shared.runs.model import Kind
from tests.support.memory import PROFILES, Memory
from tests.support.senders import IDS, Call, Sender

SEGMENTS = "SegmentMembership"
NO_SUCH_ROW = "0x80040217"
NO_PROFILE = "Its profile is not in Dataverse; see the rejects of CustomerProfile. (Gone.)"


@pytest.fixture
def sender(monkeypatch: pytest.MonkeyPatch) -> Sender:
    return Sender(Memory(monkeypatch), monkeypatch)


@pytest.mark.parametrize(
    ("subject", "kind", "code", "said"),
    [
        (SEGMENTS, "rejected", NO_SUCH_ROW, NO_PROFILE),
        (SEGMENTS, "rejected", NO_SUCH_ROW.upper(), NO_PROFILE),
        (SEGMENTS, "rejected", "0x1", "Gone."),
        (SEGMENTS, "missing", NO_SUCH_ROW, "Gone."),
        (PROFILES, "rejected", NO_SUCH_ROW, "Gone."),
    ],
)
def test_a_row_whose_profile_is_not_there_says_so(
    sender: Sender, subject: str, kind: str, code: str, said: str
) -> None:
    message = sender.begin(2, subject=subject)
    sender.script = lambda call: [RowFault(0, kind, code, "Gone.")] if IDS[0] in call.ids else []  # type: ignore[arg-type]
    assert sender.send(message) is None
    assert sender.noted(message) == {"0": [IDS[0], kind, False, code, said]}


def test_faults_of_every_call_are_noted_by_their_place_in_the_chunk(sender: Sender) -> None:
    message = sender.begin()
    sender.script = lambda call: [RowFault(1, "rejected", "0x1", f"No, {call.ids[1]}.", uncertain=True)]
    sender.send(message)
    assert sender.noted(message) == {
        place: [IDS[int(place)], "rejected", True, "0x1", f"No, {IDS[int(place)]}."] for place in ("1", "3")
    }


def test_rows_to_remove_are_noted_by_their_guid(sender: Sender) -> None:
    message = sender.begin(4)
    sender.script = lambda _: [RowFault(0, "referenced", "0x2", "Held.")] if len(sender.calls) == 1 else []
    sender.send(message)
    assert sender.noted(message) == {"0": [IDS[0], "referenced", False, "0x2", "Held."]}


def test_where_all_was_written_nothing_is_noted(sender: Sender) -> None:
    message = sender.begin()
    sender.send(message)
    assert sender.chunk(message).noted == ""
    assert not [path for path in sender.memory.blobs if "exceptions" in path]


def test_what_another_worker_noted_of_rows_without_an_outcome_is_left_behind(sender: Sender) -> None:
    message = sender.begin()
    task = sender.task(message)
    before = {"0": [IDS[0], "rejected", False, "0x1", "No."], "2": [IDS[2], "rejected", False, "0x1", "Not known yet."]}
    sender.memory.blobs[paths.exceptions(sender.folder(task), 1, "other")] = json.dumps(before).encode()
    sender.memory.store.save_chunk(replace(sender.chunk(message), sent=2, begun=4, noted="other"))
    sender.send(message)
    assert sender.chunk(message).noted not in {"", "other"}, "the other one may still write to its own"
    assert sender.noted(message) == {"0": before["0"]}


def test_what_is_noted_stands_there_before_the_chunk_says_that_its_rows_have_an_outcome(sender: Sender) -> None:
    message = sender.begin()
    seen = []

    def look(_: Call) -> list[RowFault]:
        seen.append((sender.chunk(message).sent, sender.chunk(message).noted != ""))
        return [RowFault(0, "rejected", "0x1", "No.")]

    sender.script = look
    sender.send(message)
    assert seen == [(0, False), (2, True)]


@pytest.mark.parametrize(("bypassed", "ran"), [((True, True), False), ((False, True), True), ((True, False), True)])
def test_whether_others_logic_ran_for_a_link_is_remembered(
    sender: Sender, bypassed: tuple[bool, bool], *, ran: bool
) -> None:
    message = sender.begin(2, subject="contact")
    sender.memory.store.save_task(replace(sender.task(message), kind=Kind.LINK))

    def answer(_: Call) -> list[RowFault]:
        sender.user.bypass_in_force = bypassed[len(sender.calls) - 1]
        return []

    sender.script = answer
    sender.send(message)
    assert sender.chunk(message).custom_logic is ran


def test_why_a_chunk_was_put_off_is_told_in_a_thousand_characters(sender: Sender) -> None:
    message = sender.begin()

    def call(_: Call) -> list[RowFault]:
        raise TransientError("x" * 2_000)

    sender.script = call
    sender.send(message)
    assert sender.chunk(message).trouble == "x" * 1_000
