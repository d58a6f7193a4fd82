import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from backups import services as store_services
from backups.archive import services
from backups.archive.encryption import make_pair
from backups.archive.storing import get_catalog
from backups.exceptions import BusyError
from tests.backups.archive.media.media_site import MediaSite, content_name


def delete(stored: services.Stored) -> None:
    get_catalog().delete(stored.snapshot.name)


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_what_no_stored_snapshot_needs_is_removed_without_the_secret_key(
    media: MediaSite, is_encrypted: bool
) -> None:
    if is_encrypted:
        media.use(BACKUPS_RECIPIENTS=[make_pair()[1]])
    media.write({"a.txt": b"one", "b.txt": b"other"})
    first = media.store()
    (media.media / "a.txt").unlink()
    media.write({"c.txt": b"new"})
    second = media.store()
    assert services.tidy_media() == services.MediaTidied()
    assert len(media.contents()) == 3
    delete(first)
    assert services.tidy_media() == services.MediaTidied(removed=1)
    assert len(media.contents()) == 2
    assert services.check_media(second.snapshot) == []
    assert len(list(media.stored.glob("*.media.*"))) == 2
    delete(second)
    assert services.tidy_media().removed == 2
    assert not list(media.stored.glob("*.media.*"))


def test_nothing_is_removed_while_a_backup_is_under_way(media: MediaSite) -> None:
    media.write({"a.txt": b"one"})
    delete(media.store())
    with store_services.get_store().lock("media"), pytest.raises(BusyError):
        services.tidy_media()
    assert media.contents() == {content_name(b"one")}


def test_nothing_is_removed_if_a_list_can_not_be_read(media: MediaSite) -> None:
    media.write({"a.txt": b"one"})
    first = media.store()
    media.write({"a.txt": b"two!"})
    second = media.store()
    delete(first)
    (path,) = media.stored.glob(f"*{second.snapshot.id}.media.contents.zst")
    whole = path.read_bytes()
    for content in (b"", whole[:-4], b"text", None):
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        tidied = services.tidy_media()
        assert tidied.removed == 0
        assert tidied.reason.startswith("Nothing was removed: ")
        assert len(media.contents()) == 2
    assert services.check_media(second.snapshot) == [path.name]
    path.write_bytes(whole)
    assert services.tidy_media() == services.MediaTidied(removed=1)


def test_nothing_is_removed_if_the_lists_of_a_snapshot_are_gone(media: MediaSite) -> None:
    media.write({"a.txt": b"one"})
    stored = media.store()
    for path in media.stored.glob(f"*{stored.snapshot.id}.media.*"):
        path.unlink()
    tidied = services.tidy_media()
    assert tidied.removed == 0
    assert tidied.reason == f"Nothing was removed: the lists of {stored.snapshot.id} are gone."
    assert media.contents() == {content_name(b"one")}


def test_a_storage_that_deletes_nothing_is_no_error(
    media: MediaSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    media.write({"a.txt": b"one"})
    delete(media.store())

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Access Denied")

    monkeypatch.setattr("backups.archive.folder_storage.FolderStorage.delete", refuse)
    tidied = services.tidy_media()
    assert (tidied.removed, tidied.refused) == (0, 2)
    assert "Access Denied" in tidied.reason


def test_other_files_in_the_storage_stay(media: MediaSite) -> None:
    media.write({"a.txt": b"one"})
    delete(media.store())
    others = [
        media.stored / "notes.txt",
        media.stored / "taskdog-backup-media" / "notes.txt",
        media.stored / "taskdog-backup-media" / content_name(b"one")[:2] / "notes.txt",
    ]
    for other in others:
        other.write_text("mine")
    assert services.tidy_media().removed == 1
    assert all(map(Path.exists, others))
    shutil.rmtree(media.stored)
    assert services.tidy_media() == services.MediaTidied()


def test_deleting_a_snapshot_removes_what_only_it_needs(media: MediaSite) -> None:
    media.write({"a.txt": b"one", "b.txt": b"other"})
    first = media.store()
    (media.media / "a.txt").unlink()
    media.store()
    services.delete(first.snapshot.id, by="tester")
    assert media.contents() == {content_name(b"other")}


def test_a_lost_content_is_found_by_the_look_and_by_the_drill(media: MediaSite) -> None:
    media.write({"a.txt": b"one", "b.txt": b"other"})
    stored = media.store()
    assert services.look() == []
    assert services.verify("latest", by="tester").warnings == ()
    (media.stored / "taskdog-backup-media" / content_name(b"one")).unlink()
    (found,) = services.look()
    assert found.startswith(f"1 media files of {stored.snapshot.id} are missing")
    tried = services.verify("latest", by="tester")
    assert tried.is_good
    assert tried.lost_media == 1
    assert "a.txt: " in tried.warnings[0]
    looked = services.verify("latest", by="tester", read_media=False)
    assert (looked.is_good, looked.lost_media) == (True, 1)
    assert content_name(b"one") in looked.warnings[0]
    assert media.store().is_new, "it is stored again, though nothing has changed"
    assert services.look() == []


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-1], lambda content: b"x" + content[1:]]
)
def test_a_content_that_was_changed_is_found_by_the_drill(
    media: MediaSite, damage: Callable[[bytes], bytes]
) -> None:
    media.write({"a.txt": b"one", "b.txt": b"other"})
    media.store()
    path = media.stored / "taskdog-backup-media" / content_name(b"one")
    path.write_bytes(damage(path.read_bytes()))
    found = services.verify("latest", by="tester")
    assert (found.is_good, found.lost_media) == (True, 1)
    assert found.sentence.endswith("; media files lost: 1")
    assert content_name(b"one") in found.warnings[0]
    path.unlink()  # as the page says: then the next backup stores it again
    assert media.store().is_new
    assert services.verify("latest", by="tester").lost_media == 0
