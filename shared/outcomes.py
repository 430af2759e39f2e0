"""What became of the rows of a chunk that were no success: written before its row says that the outcome is known."""

from __future__ import annotations

import json
import uuid

from shared.dataverse.bulk import RowFault
from shared.runs import paths
from shared.runs.model import Chunk, Task
from shared.services import Services

_NO_SUCH_ROW = "0x80040217"


class RowOutcomes:
    """The exceptions of one worker that has claimed a chunk, in a blob that the chunk's row names.

    Each worker writes a blob of its own: what somebody notes who was held up, and whose chunk another worker has, is
    never looked at. `folder`: the plan's. Rows before `chunk.begun` may have been sent by somebody who got no answer.
    """

    def __init__(self, services: Services, task: Task, folder: str, chunk: Chunk) -> None:
        self._blobs, self._task, self._folder, self._number = services.blobs, task, folder, chunk.number
        self._interrupted = chunk.begun
        self._name = uuid.uuid4().hex[:12]
        self._exceptions: dict[int, list[object]] = {}
        self._stale = False

    def take_over(self, chunk: Chunk) -> None:
        """Exceptions of rows whose outcome is known; those of a call without an outcome are asked for again."""
        if not chunk.noted:
            return
        found = json.loads(self._blobs.read(paths.exceptions(self._folder, self._number, chunk.noted)))
        self._exceptions = {int(place): row for place, row in found.items() if int(place) < chunk.sent}
        self._stale = True  # it is another worker's, who may still write to it

    def note(self, start: int, records: list[bytes], faults: list[RowFault]) -> str:
        """Write what became of the rows of a call from `start` on. The blob's name; empty: nothing is new."""
        for fault in faults:
            place = start + fault.index
            uncertain = fault.uncertain or place < self._interrupted
            row_id = _row_id(records[place], self._task.primary_id)
            self._exceptions[place] = [row_id, fault.kind, uncertain, fault.code, self._reason(fault)]
        if not (faults or self._stale):
            return ""
        path = paths.exceptions(self._folder, self._number, self._name)
        self._blobs.write(path, json.dumps(self._exceptions).encode())
        self._stale = False
        return self._name

    def _reason(self, fault: RowFault) -> str:
        """Why a row was refused; of the row that it points to Dataverse only says that it is missing."""
        if not self._task.is_profile and fault.kind == "rejected" and fault.code.lower() == _NO_SUCH_ROW:
            return f"Its profile is not in Dataverse; see the rejects of CustomerProfile. ({fault.message})"
        return fault.message


def _row_id(record: bytes, key: str) -> str:
    if not record.startswith(b"{"):
        return record.decode()  # removals are bare GUIDs
    return str(json.loads(record)[key])
