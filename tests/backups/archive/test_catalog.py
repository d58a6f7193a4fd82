import os
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from django.core.files.storage import InMemoryStorage

from backups.archive.catalog import Catalog, StoredSnapshot
from backups.archive.folder_storage import FolderStorage
from backups.archive.storage import StoredFiles
from backups.exceptions import NotStoredError, StorageError
from tests.backups.archive.entries import HELD, PREFIX, put

NOON, SECOND, LATER = "20261116-120000", "20261116-120000-2", "20261117-120000"
AHEAD = "99981231-120000"


@pytest.fixture(params=["folder", "memory"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Catalog:
    of_folder = request.param == "folder"
    storage = FolderStorage(tmp_path / "stored") if of_folder else InMemoryStorage()
    return Catalog(StoredFiles(storage), PREFIX)


def ids(found: list[StoredSnapshot]) -> list[str]:
    return [each.id for each in found]


def test_an_empty_storage_has_none(catalog: Catalog) -> None:
    assert catalog.snapshots() == []
    assert catalog.missing() == []
    with pytest.raises(NotStoredError, match="Nothing is stored in"):
        catalog.find("latest")


def test_the_newest_is_the_first_and_the_latest(catalog: Catalog) -> None:
    stored = [put(catalog, each) for each in (SECOND, LATER, NOON)]
    assert ids(catalog.snapshots()) == [LATER, SECOND, NOON]
    assert set(map(repr, catalog.snapshots())) == set(map(repr, stored))
    assert catalog.find("latest").id == LATER
    assert catalog.find(SECOND).name == f"{PREFIX}{SECOND}.db.zst"
    assert catalog.find(f"{PREFIX}{NOON}.db.zst").id == NOON
    with pytest.raises(NotStoredError, match="There is no stored snapshot 'x'"):
        catalog.find("x")


def test_what_a_clock_that_was_ahead_has_stored_is_not_the_latest(catalog: Catalog) -> None:
    put(catalog, AHEAD)
    assert catalog.find("latest").id == AHEAD, "there is nothing else"
    put(catalog, NOON)
    assert catalog.find("latest").id == NOON
    assert catalog.find(AHEAD).id == AHEAD


def test_files_of_others_are_neither_listed_nor_missed(catalog: Catalog) -> None:
    put(catalog, NOON)
    for name in (
        f"other-backup-{LATER}.db.zst",
        f"other-backup-{LATER}.db.zst.json",
        f"{PREFIX}{LATER}.db",
        f"{PREFIX}notes.json",
        "claims/x",
    ):
        catalog.files.create(name, [b"{}"])
    catalog.files.create(f"lost-backup-{LATER}.db.zst.json", [b"{}"])
    assert ids(catalog.snapshots()) == [NOON]
    assert catalog.missing() == []


def test_a_file_without_a_manifest_is_listed_with_its_problem(catalog: Catalog) -> None:
    name = f"{PREFIX}{NOON}.db.zst.age"
    catalog.files.create(name, [b"abc"])
    [found] = catalog.snapshots()
    assert (found.id, found.name, found.size, found.manifest) == (NOON, name, 3, None)
    assert "no manifest" in found.problem
    assert found.is_encrypted
    assert (found.hold, found.verification) == (None, None)
    with pytest.raises(StorageError, match="nothing can be noted in it"):
        catalog.change(found, lambda manifest: manifest)


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"\xff", b'{"name": 1}'])
def test_a_manifest_that_can_not_be_read_is_none(catalog: Catalog, content: bytes) -> None:
    stored = put(catalog, NOON)
    catalog.files.replace(f"{stored.name}.json", content)
    [found] = catalog.snapshots()
    assert found.manifest is None
    assert catalog.find(NOON).manifest is None


def test_a_manifest_of_another_file_is_none(catalog: Catalog) -> None:
    stored = put(catalog, NOON)
    assert stored.manifest is not None
    catalog.files.replace(
        f"{stored.name}.json", replace(stored.manifest, name=f"{PREFIX}{LATER}.db.zst").to_json()
    )
    assert catalog.find(NOON).manifest is None


def test_a_file_that_was_removed_by_hand_is_missing(catalog: Catalog) -> None:
    put(catalog, NOON)
    gone = put(catalog, LATER)
    catalog.files.delete(gone.name)
    assert ids(catalog.snapshots()) == [NOON]
    assert catalog.missing() == [gone.name]
    assert catalog.find("latest").id == NOON


def test_a_change_of_the_manifest_stays(catalog: Catalog) -> None:
    stored = put(catalog, NOON)
    catalog.change(stored, lambda manifest: replace(manifest, hold=HELD))
    assert catalog.find(NOON).hold == HELD
    assert len(catalog.files.sizes()) == 2


def test_a_manifest_that_is_changed_is_never_half(tmp_path: Path) -> None:
    catalog = Catalog(StoredFiles(FolderStorage(tmp_path)), PREFIX)
    stored = put(catalog, NOON)
    full = mock.patch("backups.disk.files.write_all", side_effect=OSError(28, os.strerror(28)))
    with full, pytest.raises(StorageError, match="No space left"):
        catalog.change(stored, lambda manifest: replace(manifest, hold=HELD))
    assert catalog.find(NOON).manifest == stored.manifest
    assert len(list(tmp_path.iterdir())) == 2


def test_many_manifests_are_read_each_for_its_file(catalog: Catalog) -> None:
    for minute in range(50):
        put(catalog, f"20261126-12{minute:02}00", label=str(minute))
    found = catalog.snapshots()
    assert [each.manifest.label for each in found if each.manifest] == [
        str(minute) for minute in reversed(range(50))
    ]


# A page of them


def test_a_page_reads_only_its_own_manifests_from_one_listing(tmp_path: Path) -> None:
    catalog = Catalog(StoredFiles(FolderStorage(tmp_path / "stored")), PREFIX)
    known = [f"20261116-1200{number:02}" for number in range(30)]
    for each in known:
        put(catalog, each, label=each)
    catalog.files.delete(f"{PREFIX}{known[29]}.db.zst")
    read, listings = catalog.files.chunks, catalog.files.sizes
    with (
        mock.patch.object(catalog.files, "chunks", side_effect=read) as reads,
        mock.patch.object(catalog.files, "sizes", side_effect=listings) as looks,
    ):
        page = catalog.page(10, 5)
    assert ids(page.snapshots) == known[18:13:-1]
    assert [each.manifest and each.manifest.label for each in page.snapshots] == known[18:13:-1]
    assert (page.first, page.total) == (10, 29)
    assert page.missing == [f"{PREFIX}{known[29]}.db.zst"]
    assert (reads.call_count, looks.call_count) == (5, 1)


@pytest.mark.parametrize(
    ("first", "found"),
    [(0, (0, 3)), (3, (3, 3)), (6, (6, 1)), (9, (6, 1)), (10**9, (6, 1))],
)
def test_beyond_the_last_page_is_the_last_page(
    first: int, found: tuple[int, int], catalog: Catalog
) -> None:
    for number in range(7):
        put(catalog, f"20261116-12000{number}")
    page = catalog.page(first, 3)
    assert (page.first, len(page.snapshots)) == found


def test_a_page_of_nothing_is_empty(catalog: Catalog) -> None:
    page = catalog.page(25, 25)
    assert (page.snapshots, page.first, page.total, page.missing) == ([], 0, 0, [])
