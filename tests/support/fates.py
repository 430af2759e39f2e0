"""What becomes of a worker amid its work: it is killed, or held up while others go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Killed(BaseException):
    """The worker's process is gone."""


class Fate:
    """What becomes of a worker at its n-th call: killed or held up, before or after the call. n = 0: nothing.

    With `of`, only calls that name it count, such as a part of a blob's path, or of a request's.
    Calls that only read are no points: whoever dies before reading has done no more than after the write before it.
    """

    def __init__(self, point: int = 0, *, after: bool = False, held_up: bool = False, of: str = "") -> None:
        self.point, self.after, self.held_up, self.of = point, after, held_up, of
        self.calls: list[str] = []
        self.reached, self.released = threading.Event(), threading.Event()

    def watch(self, target: Any, name: str, *methods: str) -> None:
        """Let the methods of an object be points."""
        for method in methods:
            setattr(target, method, self._watched(getattr(target, method), f"{name}.{method}"))

    def _watched(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            texts = [one for one in given[:2] if isinstance(one, str)]
            if self.of in " ".join([name, *texts]):
                self.calls.append(name)
            struck = len(self.calls) == self.point and not self.reached.is_set()
            # Between the last look at the claim and the request nothing can stop a worker: it is held up afterwards.
            after = self.after or (self.held_up and name.startswith("dataverse"))
            if struck and not after:
                self._strike()
            answer = method(*given, **named)
            if struck and after:
                self._strike()
            return answer

        return call

    def _strike(self) -> None:
        self.reached.set()
        if not self.held_up:
            raise Killed(self.calls[-1])
        self.released.wait()
