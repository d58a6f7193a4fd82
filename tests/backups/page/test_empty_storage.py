"""A storage without snapshots: there were none yet, or they are gone, or somebody deleted them."""

from pathlib import Path

from django.test import Client
from pytest_django import Settings

from backups.archive import services as archive
from tests.backups.archive.stored_in import store_in
from tests.backups.page.reading import read, text_of
from tests.site import Site

YET, GONE = "Nothing is stored in the folder", "although snapshots were stored there."


def test_storage_that_was_emptied_is_an_alarm(
    live: Site, ann_here: Client, settings: Settings, tmp_path: Path
) -> None:
    store_in(settings, location=tmp_path / "disk")
    assert YET in text_of(read(ann_here, "snapshots/"))
    made = archive.store(by="ops").snapshot
    (tmp_path / "disk").rename(tmp_path / "elsewhere")
    text = text_of(read(ann_here, "snapshots/"))
    assert GONE in text
    assert f"The last one was {made.id}" in text
    assert YET not in text


def test_storage_whose_only_snapshot_was_deleted_is_none(
    live: Site, ann_here: Client, settings: Settings, tmp_path: Path
) -> None:
    store_in(settings, location=tmp_path / "disk")
    made = archive.store(by="ops").snapshot
    archive.delete(made.id, by="ann", force=True)
    text = text_of(read(ann_here, "snapshots/"))
    assert YET in text
    assert GONE not in text
