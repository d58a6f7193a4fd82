"""How the work of a job goes, noted for whoever asks: not more than once a second."""

import time
from contextlib import suppress

from backups.archive.job_records import change_job
from backups.exceptions import BackupError
from backups.store import BackupStore

EVERY_SECONDS = 1.0


class Report:
    """The steps of one job, and the bytes of each. Noting them never makes the work fail."""

    def __init__(self, store: BackupStore, job_id: str) -> None:
        """Notes nothing yet."""
        self.job_id = job_id
        self._store = store
        self._done, self._noted_at = 0, 0.0

    def step(self, name: str, total: int | None = None) -> None:
        """A step begins; with its bytes, if they are known."""
        self._done, self._noted_at = 0, time.monotonic()
        self._note(step=name, done=0, total=total)

    def expect(self, total: int) -> None:
        """The bytes of this step are known now."""
        self._note(total=total)

    def add(self, count: int) -> None:
        """So many bytes more are done."""
        self._done += count
        if time.monotonic() - self._noted_at >= EVERY_SECONDS:
            self._noted_at = time.monotonic()
            self._note(done=self._done)

    def _note(self, **fields: object) -> None:
        with suppress(BackupError):
            change_job(self._store, self.job_id, lambda _: fields)
