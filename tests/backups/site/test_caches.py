"""What a process remembers of the database is forgotten when its content was replaced."""

from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.signals import request_started

from backups.signals import content_replaced
from backups.site import caches, local_store


@pytest.fixture
def forgotten() -> Iterator[list[str]]:
    """One entry for each time that the site's own apps were told."""
    told: list[str] = []

    def hear(**_: object) -> None:
        told.append("told")

    content_replaced.connect(hear)
    yield told
    content_replaced.disconnect(hear)


def test_request_after_a_new_receipt_forgets_once(tmp_path: Path, forgotten: list[str]) -> None:
    receipts = tmp_path / "tasks.db.restore-receipts.jsonl"
    receipts.write_text("before this process started\n")
    watch = caches.Watch(receipts)
    watch.look()
    assert forgotten == []
    with receipts.open("a") as file:
        file.write("a restore\n")
    watch.look()
    watch.look()
    assert forgotten == ["told"]


def test_first_receipt_ever_is_noticed(tmp_path: Path, forgotten: list[str]) -> None:
    receipts = tmp_path / "tasks.db.restore-receipts.jsonl"
    watch = caches.Watch(receipts)
    watch.look()
    assert forgotten == []
    receipts.write_text("a restore\n")
    watch.look()
    assert forgotten == ["told"]


@pytest.mark.django_db
def test_content_types_are_forgotten() -> None:
    before = ContentType.objects.create(app_label="shop", model="item")
    assert ContentType.objects.get_by_natural_key("shop", "item").pk == before.pk
    ContentType.objects.filter(pk=before.pk).update(id=before.pk + 1000)
    assert ContentType.objects.get_by_natural_key("shop", "item").pk == before.pk
    caches.forget()
    assert ContentType.objects.get_by_natural_key("shop", "item").pk == before.pk + 1000
    caches.forget()  # or the next test remembers what is rolled back


def test_error_in_the_site_s_own_receiver_fails_no_request(tmp_path: Path) -> None:
    def fails(**_: object) -> None:
        raise ZeroDivisionError

    content_replaced.connect(fails)
    try:
        caches.forget()
    finally:
        content_replaced.disconnect(fails)


@pytest.mark.django_db
def test_every_request_looks(tmp_path: Path, forgotten: list[str]) -> None:
    receipts = tmp_path / "tasks.db.restore-receipts.jsonl"
    caches.watch(receipts)
    try:
        receipts.write_text("a restore\n")
        request_started.send(sender=None)
        assert forgotten == ["told"]
    finally:
        request_started.disconnect(dispatch_uid=f"backups {receipts}")


def test_folder_that_may_not_be_entered_stops_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``collectstatic`` by a user who builds, beside the data of the one who serves."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.stat", refuse)
    caches.Watch(tmp_path / "receipts").look()


# On a server


class Driver:
    """A connection of a driver to a database with this number."""

    def __init__(self, oid: int, *, autocommit: bool = True) -> None:
        self.oid, self.autocommit = oid, autocommit
        self.rollback = mock.Mock()
        self.cursor = mock.MagicMock()
        self.cursor.return_value.fetchone.return_value = (oid,)


def connected(oid: int, *, alias: str = "far", name: str = "n", **options: bool) -> mock.Mock:
    """Django's connection around it, which has just been made."""
    driver = Driver(oid, **options)
    return mock.Mock(alias=alias, settings_dict={"NAME": name}, connection=driver)


@pytest.fixture
def far() -> Iterator[mock.Mock]:
    """The store of a database on a server."""
    with mock.patch.object(local_store, "get_store") as get_store:
        yield get_store.return_value


def test_connection_to_another_database_of_that_name_forgets_once(
    far: mock.Mock, forgotten: list[str]
) -> None:
    watch = caches.ServerWatch("far")
    watch.look(connection=connected(7))
    watch.look(connection=connected(7))
    watch.look(connection=connected(9, alias="near"))
    assert forgotten == []
    watch.look(connection=connected(8))
    watch.look(connection=connected(8))
    assert forgotten == ["told"]
    watch.look(connection=connected(12, name="test_n"))
    assert forgotten == ["told"], "a test has a database of its own"
    assert far.regain_presence.call_count == 5


def test_site_does_not_begin_in_a_transaction_of_the_watch(far: mock.Mock) -> None:
    connection = connected(7, autocommit=False)
    caches.ServerWatch("far").look(connection=connection)
    connection.connection.rollback.assert_called_once_with()


def test_connection_that_breaks_at_once_is_left_to_the_site(
    far: mock.Mock, forgotten: list[str]
) -> None:
    connection = connected(7)
    connection.connection.cursor.side_effect = OSError("the server was ended")
    caches.ServerWatch("far").look(connection=connection)
    assert forgotten == []
