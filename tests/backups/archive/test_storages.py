"""Backups of a real site in each kind of storage, and in some that fail."""

import errno
import hashlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, InMemoryStorage
from pytest_django import Settings

from backups.archive import names, services
from backups.archive.folder_storage import FolderStorage
from backups.archive.obstore_storage import ObstoreStorage
from backups.archive.storage import StoredFiles, get_files
from backups.archive.storing import get_catalog
from backups.exceptions import NotStoredError, StorageError
from tests import s3_servers
from tests.backups.archive.stored_in import store_in
from tests.backups.uploads import add_ballast, add_tasks
from tests.processes import CHECKOUT, environment
from tests.s3_servers import BUCKET, REGION, S3Server
from tests.site import Site, kill_group, task_names

pytestmark = pytest.mark.proof

Setting = dict[str, Any]
Use = Callable[[Setting], None]
SECONDS = 60.0  # for what takes one


def folder(path: Path, request: pytest.FixtureRequest) -> Setting:
    return {"BACKEND": "backups.archive.folder_storage.FolderStorage", "OPTIONS": _at(path)}


def file_system(path: Path, request: pytest.FixtureRequest) -> Setting:
    return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": _at(path)}


def memory(path: Path, request: pytest.FixtureRequest) -> Setting:
    return {"BACKEND": "django.core.files.storage.InMemoryStorage"}


def obstore_on_rclone(path: Path, request: pytest.FixtureRequest) -> Setting:
    return obstore(request.getfixturevalue("rclone"))


def obstore_on_seaweedfs(path: Path, request: pytest.FixtureRequest) -> Setting:
    return obstore(request.getfixturevalue("seaweedfs"))


def django_storages_on_seaweedfs(path: Path, request: pytest.FixtureRequest) -> Setting:
    return django_storages(request.getfixturevalue("seaweedfs"))


def obstore(server: S3Server, **more: Any) -> Setting:
    options = server.options(f"p{uuid4().hex[:8]}", **more)
    return {"BACKEND": "backups.archive.obstore_storage.ObstoreStorage", "OPTIONS": options}


def django_storages(server: S3Server) -> Setting:
    options = {
        "bucket_name": BUCKET,
        "location": f"p{uuid4().hex[:8]}",
        "endpoint_url": server.endpoint,
        "access_key": server.key,
        "secret_key": server.secret,
        "region_name": REGION,
        "file_overwrite": False,
        "max_memory_size": 1024**2,
    }
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}


def _at(path: Path) -> dict[str, str]:
    return {"location": str(path / "stored")}


OF_THIS_PROCESS = (memory,)
OF_ALL = (
    folder,
    file_system,
    obstore_on_rclone,
    obstore_on_seaweedfs,
    django_storages_on_seaweedfs,
)


@pytest.fixture
def use(settings: Settings) -> Use:
    """Make this the storage of backups."""

    def use(setting: Setting) -> None:
        settings.STORAGES = {**settings.STORAGES, "backups": setting}

    return use


def backup(**options: Any) -> services.Stored:
    return services.store(by="tester", **options)


def rows_of(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*'"
        )
        return {
            name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
            for (name,) in tables.fetchall()
        }


# Each kind of storage


@pytest.mark.parametrize("make", OF_THIS_PROCESS + OF_ALL)
def test_a_snapshot_goes_into_each_storage_and_comes_back(
    make: Callable[..., Setting],
    live: Site,
    use: Use,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    use(make(tmp_path, request))
    with pytest.raises(NotStoredError, match="Nothing is stored"):
        services.find_snapshot("latest")
    add_tasks(live.database, "one", "two")
    add_ballast(live.database, 12)  # more than two parts of an upload
    stored = backup(label="first").snapshot
    add_tasks(live.database, "three")
    other = backup(label="second").snapshot

    assert [each.id for each in services.list_snapshots()] == [other.id, stored.id]
    found = services.find_snapshot(stored.name)
    assert found == stored
    assert found.manifest is not None
    assert found.problem == ""
    packed = b"".join(services.read_checked(found))
    assert hashlib.sha256(packed).hexdigest() == found.manifest.sha256
    assert b"".join(services.read_snapshot(found, first=100, last=70_000)) == packed[100:70_001]
    path = tmp_path / "back.db"
    path.write_bytes(b"".join(services.unpack_snapshot(found)))
    assert task_names(path) == ["one", "two"]
    assert found.manifest.rows == rows_of(path)

    changed = get_catalog().change(found, lambda manifest: manifest)
    assert services.find_snapshot(stored.id).manifest == changed
    get_catalog().delete(found.name)
    assert [each.id for each in services.list_snapshots()] == [other.id]
    assert set(get_files().sizes()) == {other.name, f"{other.name}.json"}


@pytest.mark.parametrize("make", [folder, obstore_on_seaweedfs, django_storages_on_seaweedfs])
def test_processes_that_begin_at_once_make_a_snapshot_each(
    make: Callable[..., Setting],
    live: Site,
    use: Use,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    setting = make(tmp_path, request)
    processes = [storing(live, setting, "--label", label) for label in ("one", "two")]
    said = [process.communicate(timeout=SECONDS) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    use(setting)
    found = services.list_snapshots()
    assert sorted(each.manifest.label or "" for each in found if each.manifest) == ["one", "two"]
    for each in found:
        assert each.problem == ""
        path = tmp_path / f"{each.id}.db"
        path.write_bytes(b"".join(services.unpack_snapshot(each)))
        assert task_names(path) == []


# A process that is killed


@pytest.mark.parametrize("make", [folder, obstore_on_rclone, obstore_on_seaweedfs])
def test_a_process_that_is_killed_in_the_middle_leaves_no_torso(
    make: Callable[..., Setting],
    live: Site,
    use: Use,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    setting = make(tmp_path, request)
    add_ballast(live.database, 80)
    before = contents(setting)
    process = storing(live, setting, "--label", "killed")
    wait_until(lambda: contents(setting) != before or process.poll() is not None)
    kill_group(process)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it has ended before"
    use(setting)
    assert services.list_snapshots() == []
    [left] = contents(setting) - before
    found = re.search(r"\d{8}-\d{6}", left)
    assert found is not None, left
    with time_machine.travel(names.time_of(found[0]), tick=False):  # still in the same second
        stored = backup(label="next").snapshot
    assert stored.id == found[0] + ("" if make is folder else "-2"), "a claim is left"
    assert services.list_snapshots() == [stored]
    assert set(get_files().sizes()) == {stored.name, f"{stored.name}.json"}
    if make is folder:
        assert len(list((tmp_path / "stored").iterdir())) == 2  # the .part was swept


def contents(setting: Setting) -> set[str]:
    """What is in a storage, the traces of uploads that are under way too."""
    options = setting["OPTIONS"]
    if "location" in options:
        path = Path(options["location"])
        return {each.name for each in path.iterdir()} if path.exists() else set()
    return set(ObstoreStorage(**options).listdir("claims")[1])


# A storage that fails


def test_a_server_that_is_killed_fails_the_backup_and_the_next_one_works(
    live: Site, use: Use, tmp_path: Path, rclone: S3Server
) -> None:
    add_ballast(live.database, 40)
    with s3_servers.rclone(tmp_path / "server") as server:
        use(obstore(server))

        left = [20_000_000]

        def kill_it(size: int) -> None:
            left[0] -= size
            if left[0] < 0 and server.process.poll() is None:
                server.kill()

        with pytest.raises(StorageError, match="does not answer") as caught:
            backup(progress=kill_it)
        assert server.process.returncode == -signal.SIGKILL
    assert f"s3://{BUCKET}/" in str(caught.value)
    use(obstore(rclone))
    assert backup().is_new


def test_wrong_keys_fail_the_backup_in_a_sentence(live: Site, use: Use, rclone: S3Server) -> None:
    setting = obstore(rclone)
    setting["OPTIONS"]["config"]["secret_access_key"] = "another"
    use(setting)
    with pytest.raises(StorageError, match=r"the server refused it: .*SignatureDoesNotMatch"):
        backup()


class Failing(InMemoryStorage):
    """A storage in memory that breaks a promise, as it is told to."""

    where = "the failing storage"
    fails_after: int | None = None
    lies = False

    def _save(self, name: str, content: "File[Any]") -> str:
        written = b""
        for chunk in content.chunks():
            written += chunk
            if self.fails_after is not None and len(written) >= self.fails_after:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        saved: str = super()._save(name, File(_Whole(written), name))  # type: ignore
        return saved

    def size(self, name: str) -> int:
        return super().size(name) - self.lies


class _Whole:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, size: int = -1) -> bytes:
        content, self._content = self._content, b""
        return content


@pytest.fixture
def failing(settings: Settings) -> Iterator[type[Failing]]:
    store_in(settings, Failing)
    yield Failing
    Failing.fails_after, Failing.lies = None, False


def test_a_storage_that_is_full_fails_the_backup_and_the_next_one_works(
    live: Site, failing: type[Failing]
) -> None:
    failing.fails_after = 2000
    with pytest.raises(StorageError, match=r"the failing storage: .*: .*No space left on device\."):
        backup()
    assert services.list_snapshots() == []
    failing.fails_after = None
    assert backup().is_new


def test_a_storage_that_lies_about_sizes_is_not_believed(
    live: Site, failing: type[Failing]
) -> None:
    failing.lies = True
    with pytest.raises(
        StorageError, match=r"was sent with .* bytes, and the storage says"
    ) as caught:
        backup()
    assert "Do not rely on this storage" in caught.value.hint
    assert services.list_snapshots() == []  # and not as the latest one


def test_a_stored_file_that_got_shorter_shows_in_the_list(
    live: Site, settings: Settings, tmp_path: Path
) -> None:
    store_in(settings, location=tmp_path / "stored")
    stored = backup().snapshot
    os.truncate(tmp_path / "stored" / stored.name, stored.size - 1)
    [listed] = services.list_snapshots()
    assert "bytes, and had" in listed.problem
    assert backup().is_new  # though nothing has changed: the last one is not sound


# The folder


def test_a_folder_leaves_the_site_its_room(live: Site, tmp_path: Path, settings: Settings) -> None:
    store_in(settings, location=tmp_path / "stored")
    settings.BACKUPS_KEEP_FREE_BYTES = 1024**5
    with pytest.raises(StorageError, match="stay free for the site"):
        backup()
    assert not list((tmp_path / "stored").iterdir())
    settings.BACKUPS_KEEP_FREE_BYTES = 0
    assert backup().is_new


def test_what_is_in_a_folder_is_for_its_owner_alone(
    live: Site, settings: Settings, tmp_path: Path
) -> None:
    store_in(settings, location=tmp_path / "stored")
    backup()
    assert (tmp_path / "stored").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "stored").iterdir()} == {0o600}


def test_a_file_system_storage_is_replaced_by_one_that_writes_beside(
    settings: Settings, tmp_path: Path
) -> None:
    store_in(settings, FileSystemStorage, location=tmp_path / "stored")
    assert isinstance(get_files().storage, FolderStorage)
    assert get_files().where == f"the folder {tmp_path / 'stored'}"


def test_a_second_file_of_a_name_is_refused_by_each_storage(tmp_path: Path) -> None:
    for storage in (FolderStorage(tmp_path / "folder"), InMemoryStorage()):
        files = StoredFiles(storage)
        files.create("a", [b"one"])
        with pytest.raises(FileExistsError):
            files.create("a", [b"other"])
        assert files.read("a") == b"one"
        assert files.sizes() == {"a": 3}


# A real command


def storing(site: Site, setting: Setting, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "manage.py", "backup", "--store", *options],
        cwd=CHECKOUT,
        env=environment(
            site.data,
            DJANGO_SETTINGS_MODULE="tests.storage_settings",
            TESTS_STORAGE=json.dumps(setting),
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_until(is_so: Callable[[], bool]) -> None:
    """Ask a storage again and again: none of them tells of what it gets."""
    end = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)
