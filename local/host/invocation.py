"""Calling the app's functions: context, logging, and a count of what is running."""

from __future__ import annotations

import asyncio
import inspect
import logging
import secrets
import threading
import time
import uuid
from typing import Any

import azure.functions as func
from azure.functions import _abc as abstract

from local.host.app import Function

log = logging.getLogger("local.host")
_local = threading.local()


class TraceContext(abstract.TraceContext):
    """A new root of a W3C trace."""

    def __init__(self) -> None:
        self._parent = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"

    @property
    def trace_parent(self) -> str:
        """As in the header `traceparent`."""
        return self._parent

    @property
    def trace_state(self) -> str:
        """Empty: nobody before us."""
        return ""

    @property
    def attributes(self) -> dict[str, str]:
        """None."""
        return {}


class RetryContext(abstract.RetryContext):
    """The first try: Service Bus and blob triggers know no other."""

    @property
    def retry_count(self) -> int:
        """Tries before this one."""
        return 0

    @property
    def max_retry_count(self) -> int:
        """Tries that are allowed."""
        return 0

    @property
    def exception(self) -> Any:
        """What ended the try before."""
        return None


class Context(func.Context):
    """What the real worker passes as `context`."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._id = str(uuid.uuid4())
        self._trace, self._retry = TraceContext(), RetryContext()

    @property
    def invocation_id(self) -> str:
        """Unique for each call."""
        return self._id

    @property
    def thread_local_storage(self) -> Any:
        """Carries the invocation id to threads of the function's own."""
        return _local

    @property
    def function_name(self) -> str:
        """As registered."""
        return self._function.name

    @property
    def function_directory(self) -> str:
        """The app's folder."""
        return str(self._function.directory)

    @property
    def trace_context(self) -> abstract.TraceContext:
        """For distributed tracing."""
        return self._trace

    @property
    def retry_context(self) -> abstract.RetryContext:
        """For retries by the host."""
        return self._retry


class Invoker:
    """Calls functions and knows how many calls are running."""

    def __init__(self) -> None:
        self._idle = threading.Condition()
        self._running = 0

    def call(self, function: Function, value: Any) -> Any:
        """The function's result. Raises what it raises, after logging it."""
        context = Context(function)
        arguments: dict[str, Any] = {function.argument: value}
        if function.takes_context:
            arguments["context"] = context
        with self._idle:
            self._running += 1
        _local.invocation_id = context.invocation_id
        started = time.perf_counter()
        outcome = "Failed"
        try:
            result = function.call(**arguments)
            if inspect.iscoroutine(result):
                result = asyncio.run(result)
            outcome = "Succeeded"
        except Exception:
            log.exception("Functions.%s raised (id=%s)", function.name, context.invocation_id)
            raise
        finally:
            took = 1000 * (time.perf_counter() - started)
            log.info("Executed Functions.%s (%s, %.0f ms, id=%s)", function.name, outcome, took, context.invocation_id)
            with self._idle:
                self._running -= 1
                self._idle.notify_all()
        return result

    def wait_until_idle(self, deadline: float) -> bool:
        """Whether every call ended before the deadline (of time.monotonic)."""
        with self._idle:
            return self._idle.wait_for(lambda: self._running == 0, max(0.0, deadline - time.monotonic()))
