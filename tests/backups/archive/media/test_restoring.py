import os
import subprocess
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backups.archive import services
from backups.archive.encryption import make_pair
from backups.archive.media.lists import Entry, MediaLists
from backups.archive.storage import get_files
from backups.exceptions import IdentityError, InvalidSnapshotError, NotStoredError
from tests.backups.archive.media.media_site import (
    EventfulStorage,
    MediaSite,
    OpaqueStorage,
    content_name,
    told,
    tree,
)
from tests.backups.archive.media.test_storing import FILES
from tests.processes import CHECKOUT

PREFIX = "taskdog-backup-"


def entry(name: str, *, size: int = 3, content: str | None = None) -> Entry:
    """An entry for the content ``one``."""
    stored = content_name(b"one")
    return Entry(name, size, "", stored[3:-4], content or f"{PREFIX}media/{stored}")


def change_list(media: MediaSite, stored: services.Stored, *entries: Entry) -> None:
    """Let somebody else write the list of a stored snapshot."""
    for path in media.stored.glob("*.media.*"):
        path.unlink()
    MediaLists(get_files(), PREFIX).write(stored.snapshot.id, entries, [], recipients=(), level=3)


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_every_file_is_back_in_an_empty_folder_byte_for_byte(
    media: MediaSite, tmp_path: Path, is_encrypted: bool
) -> None:
    identity = None
    if is_encrypted:
        secret, public = make_pair()
        identity = tmp_path / "identity.txt"
        identity.write_text(secret)
        media.use(BACKUPS_RECIPIENTS=[public])
    media.write(FILES | {f"{number // 50}/{number}.txt": b"%d" % number for number in range(60)})
    media.store()
    before = tree(media.media)
    media.use(media=tmp_path / "elsewhere" / "media")
    media.settings.SECRET_KEY = "that of another machine"
    if is_encrypted:
        with pytest.raises(IdentityError):
            media.restore()
        assert not media.media.exists()
    planned = media.restore(identity_file=identity, dry_run=True)
    assert planned.restored == len(before)
    assert not media.media.exists()
    done = media.restore(identity_file=identity)
    assert (done.restored, done.failed, done.equal) == (len(before), [], 0)
    assert done.restored_size == sum(map(len, before.values()))
    assert tree(media.media) == before
    restored = (media.media / "a.txt").stat()
    assert restored.st_mtime == 1_700_000_000
    assert restored.st_mode & 0o777 == 0o644
    again = media.restore(identity_file=identity)
    assert (again.restored, again.equal) == (0, len(before))


def test_files_with_another_content_stay_unless_told(media: MediaSite) -> None:
    media.write({"a.txt": b"one", "b.txt": b"other", "c.txt": b"third"})
    media.store()
    (media.media / "a.txt").write_bytes(b"new")
    (media.media / "b.txt").write_bytes(b"old")
    os.utime(media.media / "b.txt", (1_600_000_000, 1_600_000_000))
    (media.media / "c.txt").unlink()
    for dry_run in (True, False):
        done = media.restore(dry_run=dry_run)
        assert (done.restored, done.differing, done.newer) == (1, ["a.txt", "b.txt"], ["a.txt"])
    assert tree(media.media) == {"a.txt": b"new", "b.txt": b"old", "c.txt": b"third"}
    done = media.restore(overwrite=True)
    assert (done.overwritten, done.newer) == (["a.txt", "b.txt"], ["a.txt"])
    assert tree(media.media) == {"a.txt": b"one", "b.txt": b"other", "c.txt": b"third"}


def test_a_storage_that_fails_once_while_it_replaces_a_file_does_not_lose_it(
    media: MediaSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    media.use(storage="OpaqueStorage")
    media.write({"a.txt": b"one"})
    media.store()
    media.write({"a.txt": b"other"})
    save, failures = OpaqueStorage._save, [ConnectionResetError("the connection was reset")]

    def unsteady(storage: OpaqueStorage, name: str, content: Any) -> str:
        saved = save(storage, name, content)
        if failures:
            raise failures.pop()
        return saved

    monkeypatch.setattr(OpaqueStorage, "_save", unsteady)
    done = media.restore(overwrite=True)
    assert (done.overwritten, done.failed, failures) == (["a.txt"], [], [])
    assert tree(media.media) == {"a.txt": b"one"}


def test_a_content_that_is_damaged_gets_no_name_and_the_others_are_put_back(
    media: MediaSite,
) -> None:
    media.write({"a.txt": b"one" * 1000, "b.txt": b"other", "c.txt": b"third"})
    media.store()
    contents = media.stored / "taskdog-backup-media"
    damaged, other = contents / content_name(b"one" * 1000), contents / content_name(b"other")
    damaged.write_bytes(other.read_bytes())
    (contents / content_name(b"third")).unlink()
    for name in ("a.txt", "b.txt", "c.txt"):
        (media.media / name).unlink()
    done = media.restore()
    assert done.restored == 1
    assert [words.partition(":")[0] for words in sorted(done.failed)] == ["a.txt", "c.txt"]
    assert tree(media.media) == {"b.txt": b"other"}


HOSTILE = (
    *("../outside.txt", "/tmp/outside.txt", "a/../../outside.txt", "..", ".", "", "a//b", "a/"),
    *("nul\0", "./a", "taskdog-backup-20261126-030000.db.zst", "taskdog-backup-media/ab/x"),
)


def unchanging(media: MediaSite) -> dict[str, bytes]:
    """All files around, without the lists that the test changes, and what every backup notes."""
    found = tree(media.media.parent)
    changing = (".media.", "tasks.db.sent-")
    return {name: found[name] for name in found if not any(part in name for part in changing)}


def test_a_hostile_list_writes_nothing_outside_of_the_storage(media: MediaSite) -> None:
    media.write({"a.txt": b"one"})
    stored = media.store(is_settled=False)
    before = unchanging(media)
    bomb = entry("bomb.txt", size=1)
    wrong = [
        entry("other.txt", content=name)
        for name in ("../../tasks.db", "taskdog-backup-media/../x", "/etc/passwd")
    ]
    change_list(media, stored, *map(entry, HOSTILE), bomb, *wrong, entry("good.txt"))
    done = media.restore(overwrite=True)
    assert (done.restored, len(done.failed)) == (1, len(HOSTILE) + 1 + len(wrong))
    assert unchanging(media) == before | {"media/good.txt": b"one"}
    assert not Path("/tmp/outside.txt").exists()


def test_a_hostile_list_does_not_reach_the_database(media: MediaSite) -> None:
    media.write({"a.txt": b"one"})
    stored = media.store()
    (media.site.data / "link").symlink_to(media.site.data)
    names = ("tasks.db", "tasks.db.pending-restore", "link/tasks.db", "tasks.db.backups/x")
    change_list(media, stored, *map(entry, names))
    media.settings.MEDIA_ROOT = str(media.site.data)
    before = unchanging(media)
    assert len(media.restore(overwrite=True).failed) == len(names)
    assert unchanging(media) == before


@pytest.mark.parametrize("content", [b"", b"no list", b'{"name": 1}\n', b"[" * 70_000 + b"\n"])
def test_a_list_that_is_none_is_refused(media: MediaSite, content: bytes) -> None:
    media.write({"a.txt": b"one"})
    stored = media.store()
    (media.stored / told(stored).list).write_bytes(content)
    (media.media / "a.txt").unlink()
    with pytest.raises(InvalidSnapshotError):
        media.restore()
    assert tree(media.media) == {}


def test_a_file_that_appears_meanwhile_is_not_overwritten(media: MediaSite) -> None:
    media.write({"a.txt": b"one"})
    media.store()
    (media.media / "a.txt").unlink()
    files, read = media.media / "a.txt", type(get_files()).chunks

    def write_it(*args: object) -> object:
        files.write_bytes(b"by the site")
        return read(*args)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backups.archive.media.contents.StoredFiles.chunks", write_it)
        done = media.restore()
    assert files.read_bytes() == b"by the site"
    assert (done.restored, done.differing, done.failed) == (0, ["a.txt"], [])


def test_a_snapshot_without_media_files_says_so(media: MediaSite) -> None:
    media.use(BACKUPS_MEDIA=False)
    media.store()
    with pytest.raises(NotStoredError, match="without media files"):
        media.restore()


def test_the_site_reads_a_file_while_it_is_overwritten(media: MediaSite) -> None:
    media.write({"a.txt": b"one" * 100})
    media.store()
    (media.media / "a.txt").write_bytes(b"new" * 100)
    with (media.media / "a.txt").open("rb") as reader:
        assert media.restore(overwrite=True).overwritten == ["a.txt"]
        assert reader.read() == b"new" * 100
    assert datetime.fromtimestamp((media.media / "a.txt").stat().st_mtime, UTC).year == 2023
    assert EventfulStorage.opened == []


@pytest.mark.proof  # it needs the programs age, zstd and jq
def test_media_files_come_back_by_hand_as_the_page_says(media: MediaSite, tmp_path: Path) -> None:
    secret, public = make_pair()
    media.use(BACKUPS_RECIPIENTS=[public])
    files = {"a.txt": b"one", "photos/2026/a picture.jpg": b"\xff\xd8" * 5000}
    media.write(files)
    stored = media.store()
    page = (CHECKOUT / "docs/archive.md").read_text()
    block = page.partition("And its media files")[2].partition("\n\n")[2].partition("\n\n")[0]
    commands = textwrap.dedent(block).replace("20261126-030000", stored.snapshot.id)
    (media.stored / "taskdog.key").write_text(secret)
    subprocess.run(["bash", "-ec", commands], cwd=media.stored, check=True)
    assert tree(media.stored / "media") == files
