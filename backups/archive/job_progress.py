"""How far the work of a job has come, written now and then for those who ask."""

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from backups.archive import decisions, job_records
from backups.exceptions import BackupError
from backups.store import BackupStore

WRITE_SECONDS = 1.0  # between two writes: each is synced


class JobProgress:
    """
    Notes what a job does. Call it with the number of bytes of each piece.

    What can't be written is not written: the work goes on.
    """

    def __init__(self, store: BackupStore, job_id: str) -> None:
        """Writes nothing yet."""
        self._store, self._job_id = store, job_id
        self.fields: dict[str, Any] = {}  # of the job: what it does, and how much of it is done
        self._written_at = self._looked_at = 0.0

    def step(self, name: str, total: int | None = None) -> None:
        """It does this now."""
        self.fields = {"step": name, "done": 0, "total": total}
        self._write()

    def tell(self, step: str, done: int, total: int | None) -> None:
        """It does this now, and so much of it is done: what a store says of a long check."""
        is_new = step != self.fields.get("step")
        self.fields = {"step": step, "done": done, "total": total}
        if is_new or self._is_due():
            self._write()

    def __call__(self, size: int) -> None:
        self.fields["done"] = done = self.fields.get("done", 0) + size
        if (total := self.fields.get("total")) is not None:
            self.fields["total"] = max(total, done)
        if self._is_due():
            self._write()

    def look(self) -> None:
        """:raises RestoreCancelledError: somebody has cancelled it. Looks now and then only."""
        if time.monotonic() - self._looked_at >= decisions.LOOK_SECONDS:
            self._looked_at = time.monotonic()
            decisions.check_not_cancelled(self._store, self._job_id)

    def heed(self, size: int) -> None:
        """Count these bytes. :raises RestoreCancelledError: somebody has cancelled it."""
        self(size)
        self.look()

    def wait(self, verdict: Mapping[str, Any], *, seconds: float) -> Mapping[str, Any]:
        """
        Show the verdict, and wait for a decision, as ``decisions.wait``.

        :raises StoreFolderError: the verdict can't be written, so nobody could decide.
        """
        self.fields = {"step": job_records.WAITING, "done": 0, "total": None}
        job_records.change(self._store, self._job_id, verdict=verdict, **self.fields)
        return decisions.wait(self._store, self._job_id, seconds=seconds)

    def _is_due(self) -> bool:
        return time.monotonic() - self._written_at >= WRITE_SECONDS

    def _write(self) -> None:
        self._written_at = time.monotonic()
        with suppress(BackupError, OSError):
            job_records.change(self._store, self._job_id, **self.fields)
