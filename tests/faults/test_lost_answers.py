"""A write to the status storage is carried out, and its answer never comes: it is known as ours, and nobody waits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from azure.core.exceptions import ServiceRequestError

from shared.clock import Clock
from shared.errors import ConflictError, TransientError
from shared.runs.rows import Lock
from shared.runs.tables import Delete, Table, Write, service
from tests.support.windows import Losing, Unanswered
from tests.support.workers import Workplace


def test_a_day_on_which_no_write_of_a_status_is_answered_is_as_any_other(workplace: Workplace) -> None:
    with workplace.workshop() as workshop:
        unanswered, services = Unanswered(), workshop.worker()
        workshop.handle = lambda letter, _: letter.deliver(deaf)
        deaf = workshop.worker(unanswered)
        workshop.land(1)
        workshop.work_to_the_end(services)
        workshop.assert_day(services, 1)
        (run,) = services.store.runs(workshop.tenant.environment)
        assert {task.tries for task in services.store.tasks(run.id)} <= {0, 2}, "planned once, closed once"
        assert len(unanswered.calls) > 50


@pytest.fixture
def unsure(workplace: Workplace) -> Iterator[tuple[Table, Losing, Table]]:
    """A table on a connection that loses answers, and the same table as others have it."""
    with workplace.workshop() as workshop:
        status, losing = workshop.settings.status_storage, Losing()
        clients = service(status, Clock(), transport=losing, retry_backoff_factor=0), service(status, Clock())
        mine, others = (Table(client.get_table_client("HydrationRuns")) for client in clients)
        yield mine, losing, others
        for client in clients:
            client.close()


@pytest.mark.parametrize("lost", ["nothing comes", "a gateway's 503"])
@pytest.mark.parametrize("kind", ["insert", "update", "transaction"])
def test_a_write_whose_answer_is_lost_is_known_as_ours(
    unsure: tuple[Table, Losing, Table], kind: str, lost: str
) -> None:
    """The SDK repeats a replacement, and what was answered with 503: the repetition finds what the first one wrote."""
    mine, losing, others = unsure
    place = f"{kind} {lost}", "row"
    before = others.write(Write(Lock("before"), *place)) if kind != "insert" else ""
    losing.lost = 1
    if lost != "nothing comes":
        losing.error = 503
    if kind == "transaction":
        found = mine.transact([Delete(*place, before), Write(Lock("after"), place[0], "other")])
        assert found[0] == ""
        etag, place = found[1], (place[0], "other")
    else:
        etag = mine.write(Write(Lock("after"), *place, before))
    assert losing.lost == 0
    assert others.get(Lock, *place) == Lock("after", etag=etag)


def test_a_write_that_another_worker_went_beyond_is_a_conflict(unsure: tuple[Table, Losing, Table]) -> None:
    mine, losing, others = unsure
    before = others.write(Write(Lock("before"), "beyond", "row"))
    losing.lost, losing.between = 1, lambda: others.put(Lock("others"), "beyond", "row")
    with pytest.raises(ConflictError):
        mine.write(Write(Lock("after"), "beyond", "row", before))
    assert (others.get(Lock, "beyond", "row") or Lock()).run == "others"


@pytest.mark.parametrize("reached", [False, True])
def test_a_write_that_was_not_carried_out_is_not_taken_for_one(
    unsure: tuple[Table, Losing, Table], *, reached: bool
) -> None:
    mine, losing, others = unsure
    losing.lost, losing.carries_out = 9, False
    if not reached:
        losing.error = lambda: ServiceRequestError("refused")
    with pytest.raises(TransientError):
        mine.write(Write(Lock("after"), "not carried out", "row"))
    assert others.get(Lock, "not carried out", "row") is None
    assert losing.reads == int(reached), "what never reached the service is not looked up"
