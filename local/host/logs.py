"""The host's log: one line an entry, with the fields that the app attached."""

from __future__ import annotations

import json
import logging
import sys

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Lines(logging.Formatter):
    """Time, level, logger, message, and `extra` as JSON."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - named by logging
        """The line without a traceback."""
        extra = {name: value for name, value in vars(record).items() if name not in _PLAIN}
        line = super().formatMessage(record)
        return f"{line} {json.dumps(extra, default=str)}" if extra else line


def to_stderr() -> None:
    """Everything from INFO on; the SDKs' own logs from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in ("azure", "httpx", "httpcore", "msal"):
        logging.getLogger(name).setLevel(logging.WARNING)
