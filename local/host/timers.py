"""Timer triggers: one thread each, so that a timer never overlaps itself."""

from __future__ import annotations

import contextlib
import threading
import time
from datetime import UTC, datetime

from azure.functions import timer

from local.host import schedule
from local.host.app import Function, resolve
from local.host.invocation import Invoker


class TimerListener:
    """Calls one function when its schedule comes due."""

    def __init__(self, function: Function, invoker: Invoker) -> None:
        self.function, self._invoker = function, invoker
        self._schedule = schedule.parse(resolve(function.trigger.schedule))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{function.name} timer", daemon=True)

    def start(self) -> None:
        """Wait for the first occurrence."""
        self._thread.start()

    def stop(self) -> None:
        """Fire no more."""
        self._stopping.set()

    def join(self, deadline: float) -> None:
        """Wait for the call that is running, until the deadline (of time.monotonic)."""
        self._thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        last = datetime.now(UTC)
        if self.function.trigger.run_on_startup:
            self._fire(last)
        while True:
            due = self._schedule.next_after(datetime.now(UTC))
            if self._stopping.wait(max(0.0, (due - datetime.now(UTC)).total_seconds())):
                return
            self._fire(last)
            last = due

    def _fire(self, last: datetime) -> None:
        now = datetime.now(UTC)
        status = {"Last": last, "Next": self._schedule.next_after(now), "LastUpdated": now}
        request = timer.TimerRequest(
            past_due=False,
            schedule_status={name: moment.isoformat() for name, moment in status.items()},
            schedule={"AdjustForDST": True},
        )
        with contextlib.suppress(Exception):  # it is logged, and the next occurrence is the next try
            self._invoker.call(self.function, request)
