"""What must be true of every single call and of every row that is written: looked at as it happens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared.runs import life
from shared.runs.model import Mode, Phase, TaskPhase
from tests.simulation.strands import BrokenPromise, Delivery
from tests.simulation.tables import Row

if TYPE_CHECKING:
    from tests.simulation.world import World


@dataclass
class Promises:
    """Those of one world."""

    world: World

    def sent(self, delivery: Delivery) -> None:
        """Of a run that was canceled each worker finishes the call that it is in."""
        run = self.world.row(self.world.holder)
        delivery.after_stop += bool(run and run.get("stopped"))
        if delivery.after_stop > 1:
            raise BrokenPromise(f"{delivery.worker.name} sends on though the run was stopped.")

    def wrote(self, table: str, row: str) -> None:
        """A row was written: by a run that has the environment, and is sending."""
        self.world.writes += 1
        run = self.world.row(self.world.holder)
        if run is None or run["phase"] != Phase.SENDING:
            phase = run["phase"] if run else "of nobody"
            raise BrokenPromise(f"{table} {row} is written while no run is sending (the run is {phase}).")

    def stored(self, table: str, before: Row | None, after: Row) -> None:
        """Runs and tasks go only where the table of their life lets them."""
        if table == "HydrationRuns" and "phase" in after:
            change: Any = (Phase(before["phase"]) if before else None, Phase(after["phase"]))
            if change[0] is not change[1]:
                self._run_changed(change, after)
        if table == "HydrationTasks" and "phase" in after:
            old = TaskPhase(before["phase"]) if before and before["round"] == after["round"] else None
            new = TaskPhase(after["phase"])
            if old is not new and (old, new) not in life.TASK_CHANGES:
                raise BrokenPromise(f"No task goes from {old} to {new} ({after['run']}, {after['key']}).")

    def _run_changed(self, change: Any, after: Row) -> None:
        if change not in life.RUN_CHANGES:
            raise BrokenPromise(f"No run goes from {change[0]} to {change[1]} ({after['id']}).")
        if change[1] is Phase.ENDED:
            self.world.ended.append(after["id"])
        if change == (Phase.PREPARING, Phase.SENDING) and after["mode"] != Mode.CONFIRM:
            self._begins_to_send(after)

    def _begins_to_send(self, run: Row) -> None:
        """Of a snapshot that was there a moment ago, and is not older than what was sent before.

        Who stood still between looking at the lake and this write may be late: nothing can hinder that. What it planned
        is sent whole, and the run after it brings what the lake has now.
        """
        world, lake = self.world, self.world.lake
        number = list(lake.days).index(run["fingerprint"])
        if number < world.numbers["sent"]:
            raise BrokenPromise(f"The run {run['id']} brings an older snapshot than the one before.")
        world.numbers["sent"] = number
        stood_still = world.held or (world.current is not None and world.current.stood_still)
        late = world.now - lake.changed > timedelta(minutes=1) and not stood_still
        if late and run["fingerprint"] != lake.fingerprint:
            raise BrokenPromise(f"The run {run['id']} sends what the lake does not hold any more.")
