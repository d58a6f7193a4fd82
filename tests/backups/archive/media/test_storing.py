import os
import subprocess
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from backups.archive import services
from backups.archive.encryption import make_pair
from backups.exceptions import StorageError
from tests.backups.archive.media.media_site import (
    FILE_SYSTEM,
    EventfulStorage,
    MediaSite,
    content_name,
    told,
    tree,
)

FILES = {
    "a.txt": b"one",
    "photos/2026/a picture.jpg": b"\xff\xd8" * 5000,
    "photos/copy of it.jpg": b"\xff\xd8" * 5000,
    "ünï/çode \U0001f600.txt": b"unicode",
    "line\nbreak": b"",
    'quote".json': b"{}",
    os.fsdecode(b"no-utf8-\xff"): b"bytes",
    "back\\slash": b"slash",
    "名" * 85: b"as long as a name can be",
}


def test_each_content_is_stored_once_and_the_next_backup_moves_what_is_new(
    media: MediaSite,
) -> None:
    media.write(FILES)
    first = media.store()
    counts = told(first)
    assert (counts.files, counts.size) == (len(FILES), sum(map(len, FILES.values())))
    assert (counts.new, counts.new_size) == (8, counts.size - 10_000)
    assert media.contents() == {content_name(content) for content in FILES.values()}
    assert {entry["name"] for entry in media.listed(first)} == set(FILES)

    media.write({"new.txt": b"new", "again.txt": b"one"})
    second = media.store()
    counts = told(second)
    assert (counts.files, counts.new, counts.new_size) == (len(FILES) + 2, 1, 3)


def test_what_has_not_changed_is_neither_read_nor_stored_again(media: MediaSite) -> None:
    media.use(storage="EventfulStorage")
    media.write(FILES)
    first = media.store()
    EventfulStorage.opened.clear()
    again = media.store()
    assert not again.is_new
    assert again.snapshot.id == first.snapshot.id
    assert EventfulStorage.opened == []

    media.write({"a.txt": b"two"})  # as long, and of the same time
    changed = media.store()
    assert changed.is_new
    assert set(EventfulStorage.opened) == {"a.txt"}
    assert {"name": "a.txt", "size": 3}.items() <= media.listed(changed)[0].items()
    assert content_name(b"two") in media.contents()

    (media.media / "a.txt").unlink()
    assert media.store().is_new
    assert not media.store().is_new


def test_a_file_that_has_just_been_modified_is_read_again_next_time(media: MediaSite) -> None:
    media.use(storage="EventfulStorage")
    (media.media / "a.txt").write_bytes(b"one")
    media.store()
    EventfulStorage.opened.clear()
    assert not media.store().is_new
    assert EventfulStorage.opened == ["a.txt"]


def test_a_lost_or_broken_cache_costs_reading_only(media: MediaSite) -> None:
    media.write(FILES)
    media.store()
    cache = media.site.data / "tasks.db.media-cache"
    assert cache.stat().st_mode & 0o777 == 0o600
    for break_it in (cache.unlink, lambda: cache.write_bytes(b"no database" * 1000)):
        break_it()
        stored = media.store()
        assert told(stored).files == len(FILES)
        assert told(stored).new == 0


def test_a_content_that_the_storage_has_lost_is_stored_again(media: MediaSite) -> None:
    media.write(FILES)
    stored = media.store()
    lost = content_name(b"one")
    (media.stored / "taskdog-backup-media" / lost).unlink()
    assert services.check_media(stored.snapshot) == [f"taskdog-backup-media/{lost}"]
    media.write({"new.txt": b"new"})
    assert services.check_media(media.store().snapshot) == []
    assert services.check_media(stored.snapshot) == []


def test_a_file_that_changes_while_it_is_read_is_stored_as_it_is_in_the_end(
    media: MediaSite,
) -> None:
    media.use(storage="EventfulStorage")
    media.write({"a.txt": b"0" * 300_000, "b.txt": b"other"})
    path, opened = media.media / "a.txt", []

    def change() -> None:
        opened.append(True)
        if len(opened) == 2:  # first to know it, now to store it
            path.write_bytes(b"1" * 300_000)

    EventfulStorage.on_open = {"a.txt": change}
    stored = media.store()
    assert len(opened) == 4
    assert media.contents() == {content_name(b"1" * 300_000), content_name(b"other")}
    assert services.check_media(stored.snapshot) == []


def test_a_file_that_never_keeps_still_is_left_out_and_named(media: MediaSite) -> None:
    media.use(storage="EventfulStorage")
    media.write({"log.txt": b"line\n", "b.txt": b"other"})

    def grow() -> None:
        with (media.media / "log.txt").open("ab") as file:
            file.write(b"line\n")

    EventfulStorage.on_open = {"log.txt": grow}
    stored = media.store()
    assert told(stored).warnings == (
        "log.txt changed each time that it was read: it is not in the backup.",
    )
    assert [entry["name"] for entry in media.listed(stored)] == ["b.txt"]
    assert media.contents() == {content_name(b"other")}


def test_a_file_that_is_removed_after_the_snapshot_was_taken_stays_in_its_list(
    media: MediaSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    media.write({"a.txt": b"one", "b.txt": b"other"})
    media.store()
    media.write({"c.txt": b"new"})

    def remove(count: int) -> None:
        (media.media / "a.txt").unlink(missing_ok=True)

    stored = services.store(by="tester", progress=remove)
    assert [entry["name"] for entry in media.listed(stored)] == ["a.txt", "b.txt", "c.txt"]
    assert [entry["name"] for entry in media.listed(media.store())] == ["b.txt", "c.txt"]


def test_what_is_no_file_or_can_not_be_read_is_named_and_the_rest_is_stored(
    media: MediaSite,
) -> None:
    media.write({"a.txt": b"one", "inner/b.txt": b"other"})
    os.mkfifo(media.media / "pipe")
    (media.media / "dangling").symlink_to("nowhere")
    (media.media / "inner" / "up").symlink_to(media.media)
    (media.media / "inner" / "link.txt").symlink_to("b.txt")
    stored = media.store()
    assert told(stored).warnings == ("pipe is not a file.",)
    names = [entry["name"] for entry in media.listed(stored)]
    assert names == ["a.txt", "inner/b.txt", "inner/link.txt"]


def test_a_file_that_can_not_be_read_keeps_its_earlier_content(media: MediaSite) -> None:
    media.use(storage="EventfulStorage")
    media.write({"a.txt": b"one"})
    media.store()
    media.write({"a.txt": b"two", "b.txt": b"other", "c.txt": b"new"})

    def refuse() -> None:
        raise PermissionError(13, "Permission denied")

    EventfulStorage.on_open = {"a.txt": refuse, "b.txt": refuse}
    stored = media.store()
    assert told(stored).warnings == (
        "a.txt can't be read: Permission denied. Its earlier content stays in the backup.",
        "b.txt can't be read: Permission denied.",
    )
    assert [entry["name"] for entry in media.listed(stored)] == ["a.txt", "c.txt"]
    assert services.check_media(stored.snapshot) == []
    assert media.restore().differing == []


@pytest.mark.parametrize("where", [".", "inside", ".."])
def test_backups_do_not_back_up_themselves(media: MediaSite, where: str) -> None:
    media.stored = media.media / where
    media.use()
    media.write({"a.txt": b"one"})
    media.store()
    media.write({"b.txt": b"new"})
    assert [entry["name"] for entry in media.listed(media.store())] == ["a.txt", "b.txt"]


def test_the_database_and_what_is_beside_it_are_no_media_files(media: MediaSite) -> None:
    media.settings.BACKUPS_OWN_FILES = [media.site.data / "secret_key"]
    media.settings.BACKUPS_KEY_FILE = media.site.data / "api_keys.json"
    media.use(media=media.site.data)
    media.settings.STORAGES = {"default": {"BACKEND": FILE_SYSTEM}}  # and the backups beside it
    media.write({"a.txt": b"one"})
    media.store()
    media.write({"b.txt": b"new"})
    names = {entry["name"] for entry in media.listed(media.store())}
    assert {name for name in names if not name.startswith("sessions/")} == {"a.txt", "b.txt"}


def test_patterns_leave_files_out(media: MediaSite) -> None:
    media.write({"a.txt": b"one", "cache/x/thumb.jpg": b"small", "b.tmp": b"temporary"})
    media.use(BACKUPS_MEDIA_LEAVE_OUT=["cache/*", "*.tmp"])
    assert [entry["name"] for entry in media.listed(media.store())] == ["a.txt"]
    media.use(BACKUPS_MEDIA_LEAVE_OUT=["*"])
    (media.media / "a.txt").unlink()
    assert media.restore().restored == 1


def test_without_a_folder_of_media_files_the_database_is_stored_and_the_backup_fails(
    media: MediaSite,
) -> None:
    media.settings.MEDIA_ROOT = ""
    with pytest.raises(StorageError, match=r"is stored, without its media files: .*MEDIA_ROOT"):
        media.store()
    (stored,) = services.list_snapshots()
    assert stored.manifest
    assert stored.manifest.media
    assert stored.manifest.media.list == ""
    assert services.check_media(stored) == []
    media.use()
    assert media.store().is_new


def test_a_list_tells_a_snapshot_without_its_media_files_from_a_site_that_has_none(
    media: MediaSite,
) -> None:
    media.settings.MEDIA_ROOT = ""
    with pytest.raises(StorageError, match="without its media files"):
        media.store()
    assert said_by("backups", "list").endswith(", without its media files\n")
    assert "media files" not in said_by("restore_db", "--from", "latest", "--yes")
    media.use(BACKUPS_MEDIA_LEAVE_OUT=["*"])
    media.store()
    assert said_by("backups", "list").splitlines()[0].endswith(", 0 media files")


def said_by(*words: str) -> str:
    """All that a command prints and says."""
    said = StringIO()
    call_command(*words, stdout=said, stderr=said)
    return said.getvalue()


def test_a_folder_that_is_suddenly_empty_is_suspicious(media: MediaSite, tmp_path: Path) -> None:
    media.write(FILES)
    media.store()
    media.use(media=tmp_path / "not mounted")
    media.media.mkdir()
    for _ in range(2):
        with pytest.raises(StorageError, match="Now there are none") as caught:
            media.store()
        assert "Is it mounted?" in caught.value.hint
    media.write({"a.txt": b"one"})
    assert told(media.store()).warnings == ()
    (media.media / "a.txt").unlink()
    (media.site.data / "tasks.db.media-cache").unlink()  # as the hint says
    assert told(media.store(label="emptied")).files == 0


def test_any_storage_can_hold_the_media_files(media: MediaSite) -> None:
    media.use(storage="OpaqueStorage")
    files = {name: content for name, content in FILES.items() if "\\" not in name}
    media.write(files)
    stored = media.store()
    assert {entry["name"] for entry in media.listed(stored)} == set(files)
    assert not media.store().is_new
    before = tree(media.media)
    media.use(media=media.media.parent / "elsewhere", storage="OpaqueStorage")
    media.media.mkdir()
    assert media.restore().restored == len(files)
    assert tree(media.media) == before
    (media.media / "a.txt").write_bytes(b"newer")
    assert media.restore().differing == ["a.txt"]
    assert media.restore(overwrite=True).overwritten == ["a.txt"]
    assert tree(media.media) == before


@pytest.mark.proof  # it needs the programs age and zstd
def test_encrypted_contents_are_read_by_age_and_do_not_tell_what_they_are(
    media: MediaSite, tmp_path: Path
) -> None:
    secret, public = make_pair()
    identity = tmp_path / "identity.txt"
    identity.write_text(secret)
    media.use(BACKUPS_RECIPIENTS=[public])
    media.write({"a.txt": b"one", "b.txt": b"one", "c.txt": b"other"})
    stored = media.store()
    (entry, _, _) = media.listed(stored, identity)
    assert len(media.contents()) == 2
    packed = b"".join(path.read_bytes() for path in media.stored.rglob("*") if path.is_file())
    names = " ".join(map(str, media.stored.rglob("*")))
    assert entry["sha256"] not in names
    for word in (b"a.txt", b"one", entry["sha256"].encode()):
        assert word not in packed
    by_hand = f"age -d -i {identity} '{media.stored / entry['content']}' | zstd -dc"
    assert subprocess.run(["sh", "-c", by_hand], check=True, capture_output=True).stdout == b"one"

    assert services.check_media(stored.snapshot) == []  # without the secret key
    assert not media.store().is_new
    _, other = make_pair()
    media.use(BACKUPS_RECIPIENTS=[public, other])
    media.write({"d.txt": b"new"})
    again = media.store()
    assert told(again).new == 3  # the new key could not read the old ones
