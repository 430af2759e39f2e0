"""Runs with two application users over real storage and Dataverse: who cannot do all is named before it hurts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx
import pytest

from shared.services import Services
from shared.settings import ApplicationUser
from tests.support.workers import Workplace, Workshop

FIRST, SECOND = (f"0bfc4568-a4ba-4c58-bd3e-{number:012d}" for number in (11, 12))


@pytest.fixture
def workshop(workplace: Workplace) -> Iterator[Workshop]:
    with workplace.workshop() as workshop:
        users = (ApplicationUser("", FIRST, None, None), ApplicationUser("second", SECOND, None, None))
        workshop.settings = replace(workshop.settings, users=users)
        yield workshop


@pytest.fixture
def post(workshop: Workshop) -> Callable[[str, object], None]:
    """Tells the local Dataverse what happens to this organization."""

    def send(what: str, body: object) -> None:
        url = f"{workshop.stack.dataverse_url}/local/{workshop.tenant.organization}/{what}"
        httpx.post(url, json=body, trust_env=False).raise_for_status()

    return send


@pytest.fixture
def services(workshop: Workshop) -> Services:
    found = workshop.worker()
    workshop.land(1)
    return found


def test_two_users_that_can_do_all_hydrate_a_day(workshop: Workshop, services: Services) -> None:
    workshop.work_to_the_end(services)
    workshop.assert_day(services, 1)


def test_a_user_that_is_no_member_fails_the_run_at_its_start(
    workshop: Workshop, services: Services, post: Callable[[str, object], None]
) -> None:
    no = {"match": "WhoAmI", "skip": 1, "status": 403, "code": "0x80072560", "message": "The user is not a member."}
    post("faults", [no])
    workshop.work_to_the_end(services)
    told = workshop.told(services)
    assert (told["status"], told["tasks"]) == ("Failed", [])
    assert f'"second" ({SECOND})' in told["detail"]


def test_a_table_that_a_user_may_not_write_everywhere_fails_before_anything_of_it_is_written(
    workshop: Workshop, services: Services, post: Callable[[str, object], None]
) -> None:
    name = "prvDeletemsdynci_SegmentMembership"
    post("privileges", {"lacking": [], "depth": {name: "Basic"}})
    workshop.work_to_the_end(services)
    told = {task["name"]: task for task in workshop.told(services)["tasks"]}
    failed = [task["name"] for task in told.values() if task["status"] == "Failed"]
    assert failed == ["SegmentMembership"]
    assert f"lacks {name} (has it at depth Basic, not Organization)" in told["SegmentMembership"]["detail"]
    assert told["SegmentMembership"]["writes"] == 0
