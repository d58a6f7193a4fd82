"""Backups in real processes: killed in the middle, and two at once."""

import os
import signal
from pathlib import Path

import pytest

from backups.unwrapping import Unwrapped
from tests.backups.archive.media.media_site import content_name, tree
from tests.backups.commands import end, run, start
from tests.site import Site

pytestmark = pytest.mark.proof

STORAGE = """
import os, signal
from django.core.files.storage import FileSystemStorage

class MortalStorage(FileSystemStorage):
    opened = 0

    def open(self, name, mode="rb"):
        MortalStorage.opened += 1
        if MortalStorage.opened == int(os.environ.get("DIES_AT", 0)):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().open(name, mode)
"""
SETTINGS = """
from taskdog.settings import *
STORAGES = {
    "default": {"BACKEND": "mortal.MortalStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
BACKUPS_MEDIA = True
MEDIA_ROOT = os.environ["MEDIA"]
"""
FILES = {f"{number}.txt": b"%d" % number * 1000 for number in range(12)}


@pytest.fixture
def variables(site: Site, tmp_path: Path) -> dict[str, str]:
    """What makes a command of the site use such a storage, with some files in it."""
    (tmp_path / "mortal.py").write_text(STORAGE)
    (tmp_path / "media_settings.py").write_text("import os\n" + SETTINGS)
    (tmp_path / "media").mkdir()
    for name, content in FILES.items():
        (tmp_path / "media" / name).write_bytes(content)
        os.utime(tmp_path / "media" / name, (1_700_000_000, 1_700_000_000))
    return {
        "PYTHONPATH": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "media_settings",
        "MEDIA": str(tmp_path / "media"),
    }


def contents(site: Site) -> dict[str, bytes]:
    """The stored contents that have a name, unpacked."""
    folder = site.data / "tasks.db.backups" / "taskdog-backup-media"
    paths = [path for path in folder.rglob("*") if path.is_file() and ".part" not in path.name]
    return {
        str(path.relative_to(folder)): b"".join(Unwrapped([path.read_bytes()])) for path in paths
    }


def test_a_kill_at_any_moment_leaves_no_torso_and_the_next_backup_goes_on(
    site: Site, variables: dict[str, str], tmp_path: Path
) -> None:
    before = 0
    for moment in (5, 16, 3):  # twelve are read to know them, which lasts, and then moved
        killed = end(
            start(site, "backup", "--store", variables=variables | {"DIES_AT": str(moment)})
        )
        assert killed.code == -signal.SIGKILL
        found = contents(site)
        assert all(name == content_name(content) for name, content in found.items())
        assert len(found) >= before
        before = len(found)
    assert before < len(FILES)
    folder = site.data / "tasks.db.backups"
    stored = {path.name for path in folder.glob("*.db.zst")}
    manifests = {path.name.removesuffix(".json") for path in folder.glob("*.json")}
    assert stored == manifests, "what was killed while it moved media files is known, and can go"

    whole = run(site, "backup", "--store", variables=variables)
    assert whole.code == 0, whole.err
    assert set(contents(site)) == {content_name(content) for content in FILES.values()}

    variables["MEDIA"] = str(tmp_path / "elsewhere")
    planned = run(site, "backups", "restore-media", "latest", "--dry-run", variables=variables)
    assert planned.out.startswith("12 media files would be put back")
    restored = run(site, "backups", "restore-media", "latest", variables=variables)
    assert restored.code == 0, restored.err
    assert tree(tmp_path / "elsewhere") == FILES
    (tmp_path / "elsewhere" / "3.txt").write_text("newer")
    again = run(site, "backups", "restore-media", "latest", variables=variables)
    assert again.out.splitlines() == [
        "0 media files put back (0 bytes), 11 unchanged",
        "1 with another content, not replaced (--overwrite replaces them):",
        "  3.txt (newer than the stored one)",
    ]


def test_two_backups_at_once_store_each_content_once(site: Site, variables: dict[str, str]) -> None:
    both = [start(site, "backup", "--store", "--label", "x", variables=variables) for _ in range(2)]
    ended = [end(each) for each in both]
    assert [each.code for each in ended] == [0, 0], ended
    folder = site.data / "tasks.db.backups"
    assert len(list(folder.glob("*.db.zst"))) == 2
    assert len(list(folder.glob("*.media.jsonl.zst"))) == 2
    assert len(contents(site)) == len(FILES)
    news = [path.read_text().count('"new": 12') for path in folder.glob("*.json")]
    assert sorted(news) == [0, 1]
