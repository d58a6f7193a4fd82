"""What is remembered says no more than is true."""

import os
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest
import time_machine

from backups.archive import services
from backups.archive.state import note_begun, read_state
from backups.exceptions import StoreFolderError
from backups.services import get_store
from tests.backups.uploads import add_tasks
from tests.site import Site


def test_a_snapshot_that_is_damaged_by_now_does_not_count_as_restorable(live: Site) -> None:
    stored = services.store(by="tester").snapshot
    assert services.verify(stored.id, by="tester").is_good
    assert read_state().verified_id == stored.id
    os.truncate(get_store().archive_folder() / stored.name, stored.size - 1)
    assert services.verify(stored.id, by="tester").outcome == "damaged"
    state = read_state()
    assert (state.verified_id, state.verified_as_of) == (None, None)


def test_an_older_one_that_is_damaged_says_nothing_of_the_newest(live: Site) -> None:
    older = services.store(by="tester").snapshot
    newest = services.store(by="tester", label="newest").snapshot
    assert services.verify(newest.id, by="tester").is_good
    os.truncate(get_store().archive_folder() / older.name, older.size - 1)
    assert services.verify(older.id, by="tester").outcome == "damaged"
    assert read_state().verified_id == newest.id


def test_a_snapshot_that_was_deleted_does_not_count_as_restorable(live: Site) -> None:
    stored = services.store(by="tester").snapshot
    services.verify(stored.id, by="tester")
    services.delete(stored.id, by="tester", force=True)
    assert read_state().verified_id is None


def test_a_clock_that_was_ahead_hides_no_later_result(live: Site) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(days=400), tick=True):
        ahead = services.store(by="tester").snapshot
        assert services.verify(ahead.id, by="tester").is_good
    add_tasks(live.database, "new")
    stored = services.store(by="tester").snapshot
    assert services.verify(stored.id, by="tester").is_good
    state = read_state()
    assert (state.verified_id, state.verified_as_of) == (stored.id, stored.taken_at)


def test_what_is_unchanged_is_current_as_of_when_that_backup_began(live: Site) -> None:
    with services.settling():  # the row of it in the audit log is no change
        services.store(by="tester")
    began = datetime.now(UTC)
    later = began + timedelta(hours=1)

    def meanwhile(*_: object, **__: object) -> services.Stored:
        with time_machine.travel(later, tick=False):
            note_begun()  # as another process does
        return unchanged

    unchanged = services.store(by="tester")
    assert not unchanged.is_new
    with mock.patch.object(services, "store_snapshot", meanwhile):
        services.store(by="tester")
    current = read_state().current_as_of
    assert current is not None
    assert began <= current < later


def test_a_state_that_can_not_be_read_now_is_not_replaced_by_an_empty_one(live: Site) -> None:
    path = live.data / "tasks.db.backups-state.json"
    path.symlink_to(path)  # the system refuses to read it
    with pytest.raises(StoreFolderError, match=r"can't be read: Too many levels"):
        note_begun()
    assert path.is_symlink()
