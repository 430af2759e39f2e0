"""Histories by their seeds: lived through, counted, and told in short when a promise was broken."""

from __future__ import annotations

from tests.simulation.events import History
from tests.simulation.histories import draw, live, shorten
from tests.simulation.strands import BrokenPromise
from tests.support.campaigns import SEED, campaign, size

MANY = size(50, 500)  # histories of a part


def live_through_part(part: int) -> None:
    """Every history of a part of the campaign. Raises ExceptionGroup of those that break a promise."""
    broken = []
    with campaign("Simulation of whole runs", "histories") as tally:
        for seed in range(SEED + part * MANY, SEED + (part + 1) * MANY):
            try:
                live_through(seed)
            except AssertionError as fault:
                broken.append(fault)
                tally.violations += 1
                tally.fault += f"{fault}\n"
            tally.count += 1
    if broken:
        raise ExceptionGroup(f"{len(broken)} of {MANY} histories break a promise.", broken)


def live_through(seed: int) -> None:
    """One history. Raises AssertionError that tells it, made short."""
    if fault := _broken(draw(seed)):
        raise AssertionError(_tell(seed, fault)) from fault


def _broken(history: History) -> BaseException | None:
    try:
        live(history)
    except (Exception, BrokenPromise) as fault:  # noqa: BLE001  whatever is raised here nobody foresaw
        return fault
    return None


def _tell(seed: int, fault: BaseException) -> str:
    short = shorten(draw(seed), lambda history: type(_broken(history)) is type(fault))
    events = "\n".join(f"    {event!r}," for event in short)
    return f"SEED={seed}: {type(fault).__name__}: {fault}\nShortened, {_broken(short)}:\n{events}"
