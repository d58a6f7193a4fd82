import os
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from backups.disk import files
from backups.disk.room import LOOK_EVERY_BYTES, leaving_room
from backups.exceptions import NotEnoughSpaceError

MiB = 1024**2
SAID = re.compile(
    r"([\d,]+) bytes of the file are written. The next part takes up to ([\d,]+) bytes in (.+), and"
    r" ([\d,]+) are free: ([\d,]+) stay free for the site \(BACKUPS_KEEP_FREE_BYTES\),"
    r" so ([\d,]+) are missing\."
)


@pytest.mark.parametrize("room", [0, 64 * MiB])
def test_a_disk_that_becomes_full_is_reported_in_numbers_that_add_up(
    room: int, tmp_path: Path
) -> None:
    floor = files.free_bytes(tmp_path) - room
    with pytest.raises(NotEnoughSpaceError) as caught:
        take(leaving_room([bytes(MiB)] * 256, tmp_path, floor=floor), tmp_path / "file")
    taken = (tmp_path / "file").stat().st_size
    said = SAID.fullmatch(str(caught.value))
    assert said, str(caught.value)
    written, needed, free, kept, missing = (
        int(said[group].replace(",", "")) for group in (1, 2, 4, 5, 6)
    )
    assert (written, needed, said[3]) == (taken, LOOK_EVERY_BYTES, str(tmp_path))
    assert (free, kept) == (caught.value.free_bytes, floor)
    assert missing == needed + kept - free > 0


def take(chunks: Iterable[bytes], path: Path) -> None:
    """Take room on the disk for each chunk, before the next one is asked for."""
    with path.open("wb") as file:
        for number, chunk in enumerate(chunks):
            os.posix_fallocate(file.fileno(), number * len(chunk), len(chunk))


def test_a_disk_with_room_gets_everything(tmp_path: Path) -> None:
    assert list(leaving_room([b"a", b"b"], tmp_path, floor=0)) == [b"a", b"b"]
