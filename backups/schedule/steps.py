"""The steps of a scheduled backup. Each is tried, even if the ones before it failed."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from backups import signals
from backups.archive import services as archive
from backups.archive.services import StoredSnapshot
from backups.archive.state import change_state, note_failed, read_state
from backups.conf import conf
from backups.exceptions import BackupError, BusyError, TooManySnapshotsError
from backups.schedule import attempts, cron

BY = "schedule"
BUSY_SECONDS = 600.0  # the longest that a backup waits for its turn
BUSY_PAUSE = 10.0  # seconds between two tries

LOST = "See manage.py backups list. To forget what is lost: manage.py backups delete ID."

T = TypeVar("T")


class Steps:
    """What a run has done so far: what there is to say, and what went wrong."""

    def __init__(self, now: datetime, database: str | None) -> None:
        self.said: list[str] = []
        self.errors: list[str] = []
        self.snapshot_id: str | None = None
        self.may_help_again = False  # whether another try may help
        self._now, self._database = now, database

    def take(self) -> None:
        """Do all steps. Raises nothing but KeyboardInterrupt."""
        self._try("The last backup is gone", self._check_last)
        stored = self._try("The snapshot could not be stored", self._store, again=True)
        if stored is not None or self._newest() is not None:
            self._try("The verification failed", self._verify, again=True)
        self._try("Stored files are lost", self._look)
        if stored is not None:  # without a new snapshot no old one is removed
            self._try("Old snapshots could not be removed", self._prune)

    def _try(self, what: str, step: Callable[[], T], *, again: bool = False) -> T | None:
        """Returns None if the step failed. Notes the failure, unless the step did so itself."""
        noted = None
        try:
            noted = read_state(database=self._database).failures_total
            return step()
        except Exception as error:
            words = f"{what}: {error or type(error).__name__} {getattr(error, 'hint', '')}".strip()
            self.errors.append(words)
            self.may_help_again |= again
            with suppress(Exception):
                if read_state(database=self._database).failures_total == noted:
                    note_failed(words, database=self._database)
                    signals.backup_failed.send_robust(
                        sender=None, database=self._database, error=error, by=BY
                    )
        return None

    def _check_last(self) -> None:
        archive.check_last(database=self._database)

    def _store(self) -> StoredSnapshot:
        end = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                stored = archive.store(
                    by=BY, schedule=conf.schedule or None, database=self._database
                )
                break
            except (TooManySnapshotsError, BusyError):
                if time.monotonic() > end:
                    raise
                time.sleep(BUSY_PAUSE)
        self.snapshot_id = stored.snapshot.id
        if stored.is_new:
            self.said.append(f"{stored.snapshot.name} is stored.")
        else:
            self.said.append(f"Nothing has changed since {stored.snapshot.name}.")
        return stored.snapshot

    def _newest(self) -> StoredSnapshot | None:
        with suppress(Exception):  # an error of the storage was reported already
            return archive.find_snapshot("latest", database=self._database)
        return None

    def _verify(self) -> None:
        if not self._is_today_wanted(conf.verify, self._last_verified()):
            return
        # Not the latest, if that was stored when a clock was ahead.
        stored = archive.find_snapshot(self.snapshot_id or "latest", database=self._database)
        found = archive.verify(stored.id, by=BY, read_media=False, database=self._database)
        if found.is_good:
            self.said.append(
                f"{stored.name} is restorable: {found.rows:,} rows in {found.tables:,} tables,"
                f" {found.seconds:.1f} seconds."
            )
        elif found.outcome == "unreadable" and stored.is_encrypted and conf.identity_file is None:
            self.said.append(f"{stored.name} was not verified on this machine: {found.reason}")
        else:
            is_unknown = found.outcome == "unreadable"  # which says nothing about it
            words = "could not be verified" if is_unknown else f"is {found.outcome}"
            raise BackupError(f"{stored.name} {words}: {found.reason}")
        attempts.remember_tried(self._now, database=self._database)

    def _last_verified(self) -> datetime | None:
        """When it was last done; None if that was without the key which there is now."""
        tried = attempts.last_tried(database=self._database)
        verified = read_state(database=self._database).last_verified
        if conf.identity_file is not None and tried is not None:
            # What was verified has whole seconds.
            began = tried.replace(microsecond=0)
            return tried if verified is not None and verified >= began else None
        return tried

    def _look(self) -> None:
        state = read_state(database=self._database)
        # The contents of media files are many: once a day, and each time while something is lost.
        is_whole = bool(state.problems) or self._is_today_wanted("daily", state.looked_at)
        problems = tuple(archive.look(with_media=is_whole, database=self._database))
        looked_at = datetime.now(UTC) if is_whole else state.looked_at
        change_state(
            lambda state: replace(state, looked_at=looked_at, problems=problems),
            database=self._database,
        )
        if problems:
            raise BackupError(" ".join(problems), hint=LOST)

    def _prune(self) -> None:
        verdicts = archive.prune(by=BY, database=self._database)
        if removed := sum(each.is_deleted for each in verdicts):
            self.said.append(f"Stored snapshots that no rule keeps were removed: {removed}.")
        if refused := [each.refusal for each in verdicts if each.refusal]:
            self.said.append(f"Old snapshots that were not removed: {len(refused)}. {refused[0]}")

    def _is_today_wanted(self, how: str, last: datetime | None) -> bool:
        """Whether to do a step now. "daily": in the first run of each day of the site's zone."""
        if how != "daily":
            return how == "always"
        zone = cron.zone()
        return last is None or last.astimezone(zone).date() != self._now.astimezone(zone).date()
