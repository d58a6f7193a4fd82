import getpass
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from django.db import connections
from pytest_django import Settings

import backups
from backups import services
from backups.client import BackupClient
from backups.disk import files
from backups.exceptions import (
    BadParameterError,
    ClientError,
    InsecureServerError,
    NoPendingRestoreError,
    NotEnoughSpaceError,
)
from backups.management.incoming import Incoming
from backups.management.progress import Bar
from backups.management.targets import (
    LocalTarget,
    RemoteTarget,
    in_our_form,
    open_target,
)
from tests.backups.uploads import snapshot_of
from tests.site import Site

URL = "http://127.0.0.1:1"


@pytest.fixture
def good(template_site: Site, tmp_path: Path) -> Iterator[BinaryIO]:
    with snapshot_of(template_site, tmp_path / "good.db").open("rb") as content:
        yield content


@pytest.mark.parametrize(
    ("option", "setting", "local", "where"),
    [
        (None, "", False, "this machine's store"),
        (None, "", True, "this machine's store"),
        (URL, "", False, URL),
        (None, f"{URL}/", False, URL),
        (URL, "http://127.0.0.1:2", False, URL),
        (None, URL, True, "this machine's store"),
    ],
)
def test_option_comes_before_the_setting_and_local_before_both(
    option: str | None, setting: str, local: bool, where: str, settings: Settings
) -> None:
    settings.BACKUPS_REMOTE_URL, settings.BACKUPS_REMOTE_KEY = setting, "key"
    with open_target(option, local=local) as target:
        assert target.where == where
        assert isinstance(target, LocalTarget if local or where != URL else RemoteTarget)


def test_server_without_a_key_is_told_before_it_is_asked(settings: Settings) -> None:
    settings.BACKUPS_REMOTE_KEY = ""
    with (
        pytest.raises(ClientError, match=f"no API key for {URL}") as error,
        open_target(URL, local=False),
    ):
        raise AssertionError("it was opened")
    assert "BACKUPS_REMOTE_KEY" in error.value.hint


def test_server_without_the_client_s_packages_names_the_extra(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BACKUPS_REMOTE_KEY = "key"
    monkeypatch.setattr(backups, "client", backups.client)  # so that the import is undone
    for name in [each for each in sys.modules if each.startswith("backups.client")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "requests", None)  # as if it were not installed
    with pytest.raises(ClientError) as error, open_target(URL, local=False):
        raise AssertionError("it was opened")
    assert str(error.value) == (
        "backups.client needs requests, which is not installed. Install it:"
        ' python -m pip install "django-restorable[cli]"'
    )


class Steps(Bar):
    """Notes the bytes of each step."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, size: int) -> None:
        self.sizes.append(size)


@pytest.mark.proof
def test_local_store_answers_as_a_server_does(live: Site, good: BinaryIO) -> None:
    """The commands print either, so the JSON has one shape."""
    target, steps = LocalTarget(), Steps()
    staged = target.stage_restore(Incoming(good.name, good), now=False, progress=steps)
    local = (
        staged,
        target.get_restore_status(),
        target.discard_pending_restore(),
        target.list_restores(),
    )
    assert sum(steps.sizes) == staged["size"]

    good.seek(0)
    connections["default"].close()
    services.release_presence()
    with live.serving() as server, BackupClient(server.url, live.key) as client:
        remote = RemoteTarget(client)
        answers = (
            remote.stage_restore(Incoming(good.name, good), now=False, progress=Bar()),
            remote.get_restore_status(),
            remote.discard_pending_restore(),
            remote.list_restores(),
        )

    for ours, theirs in zip(local, answers, strict=True):
        differ = ("staged_at", "staged_by", "message", "in_use_by", "waiting_for", "restores")
        assert ours.keys() == theirs.keys()
        assert {name: type(value) for name, value in ours.items()} == {
            name: type(value) for name, value in theirs.items()
        }
        assert {name: ours[name] for name in ours if name not in differ} == {
            name: theirs[name] for name in theirs if name not in differ
        }


def test_database_of_this_machine_is_not_looked_for_on_a_server() -> None:
    with (
        pytest.raises(BadParameterError, match="--database is for this machine's databases"),
        open_target(URL, local=False, database="other"),
    ):
        raise AssertionError("it was opened")


def test_local_snapshot_is_given_back_at_the_end(live: Site) -> None:
    before = live.names()
    with LocalTarget().create_snapshot(compact=None, compress=False) as snapshot:
        assert snapshot.name.startswith("taskdog-backup-")
        assert sum(map(len, snapshot.chunks)) == snapshot.size
    assert live.names() - before == {"tasks.db.sent-snapshots.jsonl"}


def test_full_disk_is_told_before_a_byte_is_copied(
    live: Site, good: BinaryIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "free_bytes", lambda folder: 1000)
    before, steps = live.files(), Steps()
    with pytest.raises(NotEnoughSpaceError):
        LocalTarget().stage_restore(Incoming(good.name, good), now=False, progress=steps)
    assert steps.sizes == []
    assert live.files() == before


def test_local_store_records_who_asked(live: Site, good: BinaryIO) -> None:
    staged = LocalTarget().stage_restore(Incoming(good.name, good), now=False, progress=Bar())
    assert staged["staged_by"] == f"{getpass.getuser()} (manage.py)"


def test_user_without_a_name_is_still_told_apart_from_the_api(
    live: Site, good: BinaryIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", nameless)
    staged = LocalTarget().stage_restore(Incoming(good.name, good), now=False, progress=Bar())
    assert staged["staged_by"] == "manage.py"


def test_discarding_nothing_raises(live: Site) -> None:
    with pytest.raises(NoPendingRestoreError):
        LocalTarget().discard_pending_restore()


PLAIN = "http://tasks.lan"


@pytest.mark.parametrize(
    ("url", "setting", "option", "may"),
    [
        (None, False, False, False),
        (None, True, False, True),
        (None, False, True, True),
        (None, "1", False, False),
        (PLAIN, True, False, True),
        ("http://other.lan", True, False, False),
        ("http://other.lan", False, True, True),
    ],
)
def test_setting_lets_the_key_travel_in_plain_http_to_its_own_server_alone(
    url: str | None, setting: object, option: bool, may: bool, settings: Settings
) -> None:
    settings.BACKUPS_REMOTE_URL, settings.BACKUPS_REMOTE_KEY = PLAIN, "key"
    settings.BACKUPS_REMOTE_INSECURE = setting
    opened = open_target(url, local=False, insecure=option)
    if may:
        with opened as target:
            assert target.where == url or PLAIN
    else:
        with pytest.raises(InsecureServerError), opened:
            raise AssertionError("it was opened")


def test_answer_of_another_form_is_told_of_a_server_and_raised_here(settings: Settings) -> None:
    settings.BACKUPS_REMOTE_KEY = "key"
    with open_target(URL, local=False) as target:
        for error in (KeyError("size"), TypeError("str"), AttributeError("get"), ValueError("x")):
            with pytest.raises(ClientError, match=f"{URL} answered in a form"), in_our_form(target):
                raise error
    with pytest.raises(KeyError), in_our_form(LocalTarget()):
        raise KeyError("size")
