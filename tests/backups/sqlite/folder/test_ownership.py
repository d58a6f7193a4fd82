"""Users who are not the site's: nothing of theirs stays where the site could not use it."""

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import pytest

from backups.exceptions import BackupError
from backups.sqlite.folder import ownership
from backups.sqlite.format.connection import uri
from backups.sqlite.locking.lock_file import open_lock
from backups.sqlite.locking.turns import take_turn
from backups.sqlite.snapshots import create as snapshot_module
from backups.sqlite.snapshots.page_reader import Pages
from tests.backups import builders
from tests.backups.stores import LIMITS, Store

IS_ROOT = os.geteuid() == 0
NOBODY = 65534
GROUP = 1234 if IS_ROOT else os.getegid()


def as_another(work: Callable[[], Any]) -> Any:
    """Do this as a user who owns nothing here, and return what it returns."""

    def become_another(requests: IO[str], answers: IO[str]) -> None:
        if IS_ROOT:
            os.setgroups([GROUP])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        try:
            answer = work()
        except BackupError as error:
            answer = [error.code, str(error), error.hint]
        answers.write(json.dumps(answer) + "\n")

    with builders.forked(become_another) as (_, _, answers):
        return json.loads(answers.readline())


VERBS: dict[str, Callable[[Store], object]] = {
    "compact snapshot": lambda store: store.snapshot(compact=True),
    "snapshot of the pages": lambda store: store.snapshot(compact=False),
    "stage": lambda store: store.stage_chunks([b""]),
    "undo": lambda store: store.real.stage_kept_copy(staged_by="tester"),
    "discard": lambda store: store.real.discard_pending_restore(discarded_by="tester"),
    "apply": lambda store: store.real.apply_now(applied_by="tester"),
    "start": lambda store: store.real.apply_pending_restore(),
    "presence": lambda store: store.real.hold_presence(),
}


@pytest.mark.parametrize("verb", VERBS)
def test_user_who_may_only_read_is_refused_before_anything_is_made(verb: str, store: Store) -> None:
    before = builders.folder(store.paths.folder)
    code, message, hint = as_another(lambda: VERBS[verb](store))
    assert code == "wrong_user"
    assert f"may not write {store.database}" in message
    assert "sudo -u " in hint
    assert builders.folder(store.paths.folder) == before


def test_start_of_a_user_who_may_only_read_leaves_what_is_pending(
    store: Store, tmp_path: Path
) -> None:
    store.stage(builders.healthy(tmp_path / "snapshot.db", "new"))
    before = builders.folder(store.paths.folder)

    def start() -> list[str]:
        receipt = store.real.apply_pending_restore()
        assert receipt is not None
        return [receipt.outcome, receipt.reason]

    outcome, reason = as_another(start)
    assert outcome == "blocked"
    assert "sudo -u " in reason
    assert builders.folder(store.paths.folder) == before


def test_status_can_be_asked_for_and_leaves_nothing(store: Store) -> None:
    before = builders.folder(store.paths.folder)
    assert as_another(lambda: store.real.get_status().pending) is None
    assert builders.folder(store.paths.folder) == before


def test_reader_gets_the_pages_while_the_site_has_the_database_open(store: Store) -> None:
    """Where nothing can be left behind: SQLite reads with the site's own -shm."""
    store.database.chmod(0o644)
    with closing(sqlite3.connect(store.database)) as site:
        builders.add(site, "in the WAL")
        for path in store.paths.folder.iterdir():
            path.chmod(0o444)
        store.paths.folder.chmod(0o555)
        before = builders.folder(store.paths.folder)

        def read() -> list[object]:
            ownership.check_user(store.paths)
            pages = Pages(uri(store.database), str(store.database))
            file, position, length = pages.piece(0)
            page = os.pread(file, length, position)
            is_compact = snapshot_module._suits_compact(store.paths, LIMITS)
            return [pages.size // 4096, page[:15].decode(), is_compact]

        pages, magic, is_compact = as_another(read)
        assert pages > 1
        assert magic == "SQLite format 3"
        assert not is_compact
        assert builders.folder(store.paths.folder).keys() == before.keys()


def test_reader_takes_no_turn_from_the_site(store: Store) -> None:
    """He may not open the lock file, or he could keep the lock."""
    os.close(open_lock(store.paths.lock, owner_of=store.database))
    assert store.paths.lock.stat().st_mode & 0o777 == 0o600
    store.paths.folder.chmod(0o555)
    for _ in range(2):
        assert as_another(lambda: os.close(take_turn(store.paths, at_once=1))) is None


def test_failure_of_a_reader_says_who_could(store: Store) -> None:
    store.paths.folder.chmod(0o555)
    before = builders.folder(store.paths.folder)
    code, _, hint = as_another(lambda: store.snapshot())
    assert code == "store_folder"
    assert f"may not write {store.database}" in hint
    assert "sudo -u " in hint
    assert builders.folder(store.paths.folder) == before


def test_owner_of_the_database_is_not_refused(store: Store) -> None:
    store.database.chmod(0o644)
    assert store.snapshot().startswith(b"SQLite format 3")


def test_reader_without_a_database_is_told_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "_gives_away", lambda: False)
    monkeypatch.setattr(ownership, "_may", lambda *_: False)
    error = BackupError("No snapshot could be written.")
    ownership.tell_reader(Store(tmp_path / "tasks.db").paths, error)
    assert f"may not write {tmp_path}. Run it as the user of the site: sudo -u " in error.hint
