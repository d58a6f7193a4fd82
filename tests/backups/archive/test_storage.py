"""Storages that do less than they say, or fail between two steps."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import File
from django.core.files.storage import InMemoryStorage

from backups.archive.folder_storage import FolderStorage
from backups.archive.storage import StoredFiles
from backups.exceptions import SnapshotFailedError, StorageError
from tests.backups import strangers


class Unsteady(InMemoryStorage):
    """Fails to save so many times, after it has written a part."""

    failures = 0

    def _save(self, name: str, content: "File[Any]") -> str:
        if not self.failures:
            return str(super()._save(name, content))  # type: ignore[misc]
        self.failures -= 1
        super()._save(name, content)  # type: ignore[misc]
        raise ConnectionResetError("the connection was reset")


class Locked(InMemoryStorage):
    """Deletes nothing."""

    def delete(self, name: str) -> None:
        """Say no."""
        raise PermissionError("AccessDenied: locked until 2027")


@pytest.fixture
def unsteady() -> Unsteady:
    return Unsteady()


@pytest.fixture
def files(unsteady: Unsteady) -> StoredFiles:
    files = StoredFiles(unsteady)
    files.create("a", [b"old"])
    return files


# Replace a file in a storage that can't do that in one step


def test_a_replacement_that_fails_once_is_tried_again(
    files: StoredFiles, unsteady: Unsteady
) -> None:
    unsteady.failures = 1
    files.replace("a", b"new")
    assert files.read("a") == b"new"
    assert files.sizes() == {"a": 3}


def test_a_replacement_that_fails_twice_leaves_what_was_there(
    files: StoredFiles, unsteady: Unsteady
) -> None:
    unsteady.failures = 2
    with pytest.raises(StorageError, match="a could not be written: the connection") as caught:
        files.replace("a", b"new")
    assert "gone" not in str(caught.value)
    assert files.read("a") == b"old"
    assert files.sizes() == {"a": 3}


def test_what_can_not_be_put_back_is_said_to_be_gone(
    files: StoredFiles, unsteady: Unsteady
) -> None:
    unsteady.failures = 3
    with pytest.raises(StorageError, match="The earlier a is gone: it could not be put back"):
        files.replace("a", b"new")
    files.replace("a", b"new")
    assert files.read("a") == b"new"


def test_a_first_one_that_fails_has_nothing_to_put_back(
    files: StoredFiles, unsteady: Unsteady
) -> None:
    unsteady.failures = 2
    with pytest.raises(StorageError, match="b could not be written"):
        files.replace("b", b"new")


def test_what_can_not_be_deleted_is_not_said_to_be_gone() -> None:
    files = StoredFiles(Locked())
    files.create("a", [b"old"])
    with pytest.raises(StorageError, match="locked until 2027") as caught:
        files.replace("a", b"new")
    assert "gone" not in str(caught.value)
    assert files.read("a") == b"old"


# A storage that does not take all


def hides_errors(content: "File[Any]") -> bytes:
    found = b""
    try:
        for chunk in content.chunks():
            found += chunk
    except SnapshotFailedError:
        pass
    return found


def takes_a_short_read_for_the_end(content: "File[Any]") -> bytes:
    return bytes(content.read(100))


@pytest.mark.parametrize(
    ("take", "error"),
    [(hides_errors, SnapshotFailedError), (takes_a_short_read_for_the_end, StorageError)],
)
def test_what_was_not_read_to_its_end_is_not_stored(
    take: Callable[["File[Any]"], bytes], error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Careless(InMemoryStorage):
        def _save(self, name: str, content: "File[Any]") -> str:
            found = take(content)
            with self.open(name, "wb") as file:
                file.write(found)
            return name

    def chunks() -> Any:
        yield b"one"
        yield b"two"
        if error is SnapshotFailedError:
            raise SnapshotFailedError("the database could not be read")

    files = StoredFiles(Careless())
    with pytest.raises(error):
        files.create("a", chunks())
    assert files.sizes() == {}


def test_what_root_stores_belongs_to_the_owner_of_the_folder_above() -> None:
    owner = strangers.NOBODY if strangers.IS_ROOT else os.geteuid()
    with strangers.open_folder(0o777) as above:
        os.chown(above, owner, -1)
        files = StoredFiles(FolderStorage(above / "new" / "backups"))
        files.create("a", [b"old"])
        files.create("b", [b"another"])
        files.replace("a", b"new")
        found = (above / "new", *(above / "new").rglob("*"))
        assert {path.name for path in found} == {"new", "backups", "a", "b"}
        assert {path.stat().st_uid for path in found} == {owner}
        assert not any(path.stat().st_mode & 0o077 for path in found)


def test_a_link_to_a_folder_that_is_gone_is_not_taken_for_a_name_that_is_taken(
    tmp_path: Path,
) -> None:
    (tmp_path / "backups").symlink_to(tmp_path / "not mounted")
    with pytest.raises(StorageError, match="is not a folder"):
        StoredFiles(FolderStorage(tmp_path / "backups")).create("a", [b"content"])
