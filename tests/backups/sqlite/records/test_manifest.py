"""The manifest, and the file that it is tied to."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.records.manifest import Manifest, find_manifest, sweep_manifests
from tests.backups import builders
from tests.backups.stores import new_snapshot, new_store


def test_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    paths = StorePaths(tmp_path / "tasks.db")
    manifest = builders.manifest(new_snapshot(tmp_path), "ab" * 32)
    manifest.write(paths)
    assert Manifest.read(paths.manifest("ab" * 32)) == manifest
    assert paths.manifest("ab" * 32).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"3", b"\xff\xfe", b'{"size": 3}', b'{"extra": 1}']
)
def test_what_is_no_manifest_is_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(content)
    assert Manifest.read(tmp_path / "m.json") is None
    assert Manifest.read(tmp_path / "missing.json") is None


def test_manifest_of_a_newer_release_is_not_guessed_at(tmp_path: Path) -> None:
    paths = StorePaths(tmp_path / "tasks.db")
    builders.manifest(new_snapshot(tmp_path), "ab" * 32).write(paths)
    path = paths.manifest("ab" * 32)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"from_the_future": 1}))
    assert Manifest.read(path) is None


def test_manifest_that_was_written_before_there_were_warnings_is_read(tmp_path: Path) -> None:
    """A restore that was staged before an update is applied after it."""
    paths = StorePaths(tmp_path / "tasks.db")
    manifest = builders.manifest(new_snapshot(tmp_path), "ab" * 32)
    manifest.write(paths)
    path = paths.manifest("ab" * 32)
    fields = json.loads(path.read_text())
    del fields["warnings"]
    path.write_text(json.dumps(fields))
    assert Manifest.read(path) == manifest
    replace(manifest, warnings=("Beware.",)).write(paths)
    read = Manifest.read(path)
    assert read is not None
    assert read.warnings == ("Beware.",)


def test_manifest_says_what_was_accepted(tmp_path: Path) -> None:
    paths = StorePaths(tmp_path / "tasks.db")
    manifest = builders.manifest(new_snapshot(tmp_path), "ab" * 32)
    replace(manifest, accepted=("defects", "foreign")).write(paths)
    read = Manifest.read(paths.manifest("ab" * 32))
    assert read is not None
    assert read.accepted == ("defects", "foreign")


def test_manifest_is_found_by_the_length_of_the_pending_file(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.stage(new_snapshot(tmp_path))
    builders.manifest(builders.text(tmp_path / "other"), "cd" * 32).write(store.paths)
    found = find_manifest(store.paths)
    assert found is not None
    assert found.sha256 == files.sha256(store.paths.pending)


def test_of_two_of_the_same_length_the_hash_decides(tmp_path: Path) -> None:
    """A crash between the two renames of a staging leaves this."""
    store = new_store(tmp_path)
    snapshot = new_snapshot(tmp_path)
    store.stage(snapshot)
    for other in ("00" * 32, "ff" * 32):
        builders.manifest(snapshot, other, staged_by="a crash").write(store.paths)
    found = find_manifest(store.paths)
    assert found is not None
    assert found.staged_by == "tester"


def test_sweep_leaves_only_the_one_that_fits(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    snapshot = new_snapshot(tmp_path)
    store.stage(snapshot)
    builders.manifest(snapshot, "00" * 32).write(store.paths)
    fitting = files.sha256(store.paths.pending)
    sweep_manifests(store.paths, but=fitting)
    assert store.paths.manifests() == [store.paths.manifest(fitting)]
    sweep_manifests(store.paths, but=None)
    assert store.paths.manifests() == []
