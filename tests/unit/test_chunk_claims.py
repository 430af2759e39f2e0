"""A chunk is claimed, sent call by call, and given back or concluded: what stands in its row at each moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared import send
from shared.dataverse import bulk
from shared.dataverse.bulk import RowFault
from shared.errors import (
    ConfigurationError,
    HydrationError,
    LostBlobError,
    NotFoundError,
    ThrottledError,
    TransientError,
)
from shared.runs import paths
from shared.runs.model import Kind, Phase, TaskPhase
from shared.send import Later
from tests.support.memory import ENVIRONMENT, LEASE, NOW, PROFILES, RUN, Memory
from tests.support.senders import IDS, Call, Script, Sender


@pytest.fixture
def sender(monkeypatch: pytest.MonkeyPatch) -> Sender:
    return Sender(Memory(monkeypatch), monkeypatch)


def failing(fault: HydrationError) -> Script:
    def call(_: Call) -> list[RowFault]:
        raise fault

    return call


def test_each_call_is_claimed_before_it_is_made(sender: Sender) -> None:
    message = sender.begin()
    seen = []

    def look(_: Call) -> list[RowFault]:
        chunk = sender.chunk(message)
        seen.append((chunk.sent, chunk.begun, chunk.owner, chunk.lease_until))
        return []

    sender.script = look
    assert sender.send(message) is None
    lease = NOW + timedelta(seconds=LEASE)
    assert seen == [(0, 2, "worker", lease), (2, 4, "worker", lease)]
    chunk = sender.chunk(message)
    assert (chunk.done, chunk.sent, chunk.begun, chunk.owner, chunk.lease_until) == (True, 4, 4, "", None)
    assert [call.ids for call in sender.calls] == [IDS[:2], IDS[2:]]


def test_no_request_goes_out_that_may_outlast_the_claim(sender: Sender) -> None:
    message = sender.begin()

    def slow(call: Call) -> list[RowFault]:
        sender.memory.clock.turn(LEASE - 200)  # a part of the call; the next one follows
        assert call.before is not None
        call.before()
        lease = sender.chunk(message).lease_until
        assert lease is not None
        assert lease - sender.memory.now >= timedelta(seconds=(120 + LEASE) / 2)
        return []

    sender.script = slow
    assert sender.send(message) is None


@pytest.mark.parametrize(("later", "renewed"), [(90, False), (91, True)])
def test_a_claim_is_renewed_when_a_request_could_outlast_it(sender: Sender, later: int, *, renewed: bool) -> None:
    message = sender.begin()

    def part(call: Call) -> list[RowFault]:
        before = sender.chunk(message).lease_until
        sender.memory.clock.turn(later)
        call.before()
        assert (sender.chunk(message).lease_until != before) is renewed
        return []

    sender.script = part
    assert sender.send(message) is None


def test_who_was_overtaken_sends_nothing_more(sender: Sender) -> None:
    message = sender.begin()

    def held_up(call: Call) -> list[RowFault]:
        sender.memory.clock.turn(LEASE + 1)
        until = sender.memory.now + timedelta(seconds=LEASE)
        sender.memory.store.save_chunk(replace(sender.chunk(message), owner="other", lease_until=until))
        call.before()
        pytest.fail("the request of a worker that was overtaken")

    sender.script = held_up
    assert sender.send(message) == Later(sender.memory.now + timedelta(seconds=LEASE))
    assert sender.chunk(message).owner == "other"


def test_a_chunk_that_another_worker_brought_to_its_end_stays_as_it_ended(sender: Sender) -> None:
    message = sender.begin()

    def held_up(_: Call) -> list[RowFault]:
        sender.memory.clock.turn(LEASE + 1)
        sender.script = lambda _: []
        assert sender.send(message) is None
        return [RowFault(0, "rejected", "0x1", "Refused only now.")]

    sender.script = held_up
    with pytest.raises(NotFoundError):
        sender.send(message)
    assert (sender.chunk(message).done, sender.chunk(message).sent, sender.chunk(message).noted) == (True, 4, "")


def test_nothing_goes_out_for_a_run_that_is_over(sender: Sender) -> None:
    message = sender.begin()

    def ends(call: Call) -> list[RowFault]:
        run = sender.memory.store.run(ENVIRONMENT, RUN)
        sender.memory.store.save_run(replace(run, phase=Phase.ENDED))
        call.before()
        pytest.fail("a request for a run that has ended")

    sender.script = ends
    assert sender.send(message) == Later(NOW + timedelta(seconds=LEASE))
    assert not sender.chunk(message).done


@pytest.mark.parametrize(
    ("phase", "opened", "task_phase", "attempt", "sent"),
    [
        (Phase.SENDING, 1, TaskPhase.PLANNED, "attempt", True),
        (Phase.SENDING, 2, TaskPhase.PLANNED, "attempt", True),
        (Phase.SENDING, 0, TaskPhase.PLANNED, "attempt", False),
        (Phase.PREPARING, 1, TaskPhase.PLANNED, "attempt", False),
        (Phase.ENDED, 1, TaskPhase.PLANNED, "attempt", False),
        (Phase.SENDING, 1, TaskPhase.ENDED, "attempt", False),
        (Phase.SENDING, 1, TaskPhase.PLANNED, "another", False),
    ],
)
def test_a_chunk_is_sent_in_its_stage_of_its_run_and_plan(
    sender: Sender, phase: Phase, opened: int, task_phase: TaskPhase, attempt: str, *, sent: bool
) -> None:
    message = sender.begin()
    sender.memory.store.save_run(replace(sender.run, phase=phase, stage=opened))
    sender.memory.store.save_task(replace(sender.task(message), phase=task_phase))
    assert sender.send(replace(message, attempt=attempt)) is None
    assert bool(sender.calls) is sent


@pytest.mark.parametrize(("seconds", "sent"), [(60, False), (1, False), (0, True), (-1, True)])
def test_a_chunk_that_somebody_holds_waits_until_the_claim_lapses(sender: Sender, seconds: int, *, sent: bool) -> None:
    message = sender.begin()
    until = NOW + timedelta(seconds=seconds)
    sender.memory.store.save_chunk(replace(sender.chunk(message), owner="other", lease_until=until))
    assert sender.send(message) == (None if sent else Later(until))
    assert bool(sender.calls) is sent


def test_a_message_that_comes_again_sends_nothing_again(sender: Sender) -> None:
    message = sender.begin()
    sender.send(message)
    sender.send(message)
    assert len(sender.calls) == 2


def test_who_takes_over_goes_on_where_the_outcome_is_not_known(sender: Sender) -> None:
    message = sender.begin()
    sender.memory.store.save_chunk(replace(sender.chunk(message), sent=2, begun=3, tries=5))

    def rejects_both(_: Call) -> list[RowFault]:
        assert sender.chunk(message).tries == 6
        return [RowFault(0, "rejected", "0x1", "No."), RowFault(1, "rejected", "0x2", "Never.", uncertain=False)]

    sender.script = rejects_both
    assert sender.send(message) is None
    assert [call.ids for call in sender.calls] == [IDS[2:]]
    assert sender.noted(message) == {
        "2": [IDS[2], "rejected", True, "0x1", "No."],  # somebody before may have written it
        "3": [IDS[3], "rejected", False, "0x2", "Never."],
    }


@pytest.mark.parametrize(("tries", "seconds"), [(0, 4), (1, 8), (5, 128), (8, 600), (30, 600)])
def test_a_fault_that_may_pass_puts_the_chunk_off_for_longer_each_time(
    sender: Sender, tries: int, seconds: float
) -> None:
    message = sender.begin()
    sender.memory.store.save_chunk(replace(sender.chunk(message), tries=tries))
    sender.script = failing(TransientError("It took too long."))
    assert sender.send(message) == Later(NOW + timedelta(seconds=seconds))
    chunk = sender.chunk(message)
    assert (chunk.owner, chunk.tries, chunk.trouble, chunk.sent, chunk.begun) == (
        "", tries + 1, "It took too long.", 0, 2,
    )  # fmt: skip
    assert chunk.lease_until == NOW + timedelta(seconds=seconds), "copies of the message are put off too"


def test_tries_are_counted_anew_after_a_call_went_through(sender: Sender) -> None:
    message = sender.begin()
    sender.memory.store.save_chunk(replace(sender.chunk(message), tries=30))

    def second_fails(_: Call) -> list[RowFault]:
        if len(sender.calls) == 2:
            raise TransientError("later")
        return []

    sender.script = second_fails
    assert sender.send(message) == Later(NOW + timedelta(seconds=4))
    assert (sender.chunk(message).sent, sender.chunk(message).tries) == (2, 1)


def test_a_chunk_is_given_up_after_its_last_try_and_not_before(sender: Sender) -> None:
    message = sender.begin()
    sender.memory.store.save_chunk(replace(sender.chunk(message), tries=send.MOST_TRIES - 1))
    sender.script = failing(TransientError("It took too long."))
    assert sender.send(message) is not None
    sender.memory.clock.turn(3600)
    assert sender.send(message) is None
    assert len(sender.calls) == 1
    assert sender.chunk(message).done
    assert sender.task(message).failure == "Given up after 50 attempts. It took too long."
    assert sender.chunk(message).failure == sender.task(message).failure


def test_of_a_task_that_failed_nothing_more_is_sent(sender: Sender) -> None:
    message = sender.begin(failure="It failed elsewhere.")
    assert sender.send(message) is None
    assert sender.calls == []
    assert (sender.chunk(message).done, sender.chunk(message).failure) == (True, "It failed elsewhere.")


def test_a_fault_that_stays_ends_the_chunk_and_fails_its_task(sender: Sender) -> None:
    message = sender.begin()
    sender.script = failing(ConfigurationError("The user lacks prvWrite."))
    assert sender.send(message) is None
    chunk = sender.chunk(message)
    assert (chunk.done, chunk.failure, chunk.sent, chunk.begun) == (True, "The user lacks prvWrite.", 0, 2)
    assert sender.task(message).failure == "The user lacks prvWrite."


def test_nothing_goes_to_another_organization_than_the_run_was_planned_for(sender: Sender) -> None:
    message = sender.begin()
    sender.memory.store.save_run(replace(sender.run, organization_id="planned for"))
    sender.user.organization_id = "another one"
    assert sender.send(message) is None
    assert sender.calls == []
    failure = sender.task(message).failure
    assert sender.memory.url in failure
    assert "is now the organization another one, and the run was planned for planned for" in failure


def test_rows_that_are_gone_from_storage_end_the_chunk_and_fail_its_task(sender: Sender) -> None:
    message = sender.begin()
    sender.memory.blobs.clear()
    assert sender.send(message) is None
    assert sender.chunk(message).done
    assert sender.task(message).failure == paths.chunk(sender.folder(sender.task(message)), 1), "what is lost is named"


def test_what_an_ended_run_needed_may_be_gone_and_nobody_fails(sender: Sender) -> None:
    message = sender.begin()

    def gone(_: Call) -> list[RowFault]:
        sender.memory.store.save_run(replace(sender.memory.store.run(ENVIRONMENT, RUN), phase=Phase.ENDED))
        raise LostBlobError("cleaned away")

    sender.script = gone
    assert sender.send(message) is not None
    assert not sender.chunk(message).done
    assert sender.task(message).failure == ""


def test_the_last_chunk_of_a_stage_lets_the_run_go_on(sender: Sender) -> None:
    first = sender.begin()
    second = sender.add(sender.task(first), 2)
    sender.memory.clock.turn(7)
    sender.send(first)
    assert sender.memory.queues.asked == []
    assert sender.memory.store.progress(RUN).moved == sender.memory.now
    sender.send(second)
    assert sender.memory.queues.asked == [f"close {PROFILES}"]


def test_a_throttled_worker_alone_waits_as_it_was_told(sender: Sender) -> None:
    message = sender.begin()
    sender.script = failing(ThrottledError("Dataverse asks for patience.", 77.0))
    assert sender.send(message) == Later(NOW + timedelta(seconds=77))
    assert (sender.chunk(message).tries, sender.chunk(message).trouble) == (0, "Dataverse asks for patience.")


@pytest.mark.parametrize(
    ("kind", "stage", "subject", "action", "table", "bypass"),
    [
        (Kind.TABLE, 1, PROFILES, "upsert", "xy_customerprofile", False),
        (Kind.TABLE, 4, PROFILES, "delete", "xy_customerprofile", False),
        (Kind.TABLE, 2, "SegmentMembership", "upsert", "xy_segmentmembership", False),
        (Kind.TABLE, 3, "SegmentMembership", "delete", "xy_segmentmembership", False),
        (Kind.LINK, 2, "contact", "update", "contact", True),
        (Kind.LINK, 3, "contact", "update", "contact", True),
    ],
)
def test_what_a_chunk_does_and_to_which_table(  # noqa: PLR0917
    sender: Sender, kind: Kind, stage: int, subject: str, action: str, table: str, *, bypass: bool
) -> None:
    message = sender.begin(stage, subject=subject)
    sender.memory.store.save_task(replace(sender.task(message), kind=kind))
    sender.add(sender.task(message), 2, stage)
    sender.send(replace(message, number=2))
    call = sender.calls[0]
    assert (call.action, call.ids, call.table.set_name, call.table.logical_name, call.bypass, call.user) == (
        action, IDS[:2], "sets", table, bypass, sender.user,
    )  # fmt: skip
    assert call.key == ("" if action == "delete" else "id")
    assert call.sized_for == {"upsert": bulk.UPSERT, "update": bulk.UPDATE, "delete": bulk.DELETE}[action]


def stop(sender: Sender) -> None:
    run = sender.memory.store.run(ENVIRONMENT, RUN)
    sender.memory.store.save_run(replace(run, stopped="Canceled: somebody asked for it."))


def test_a_run_that_is_stopped_sends_nothing_more(sender: Sender) -> None:
    message = sender.begin()

    def first(_: Call) -> list[RowFault]:
        stop(sender)
        return []

    sender.script = first
    assert sender.send(message) is None
    chunk = sender.chunk(message)
    assert (chunk.done, chunk.sent, chunk.begun, chunk.failure) == (True, 2, 2, ""), "the second call reached nothing"
    assert sender.task(message).failure == "", "the run says why"


def test_a_call_that_is_stopped_amid_its_requests_leaves_its_rows_uncertain(sender: Sender) -> None:
    message = sender.begin()

    def several_requests(call: Call) -> list[RowFault]:
        stop(sender)
        call.before()
        pytest.fail("a request of a run that is stopped")

    sender.script = several_requests
    assert sender.send(message) is None
    assert (sender.chunk(message).done, sender.chunk(message).sent, sender.chunk(message).begun) == (True, 0, 2)


def test_a_chunk_of_a_run_that_is_stopped_is_not_begun(sender: Sender) -> None:
    message = sender.begin()
    stop(sender)
    assert sender.send(message) is None
    assert sender.calls == []
    assert sender.chunk(message).tries == 0
