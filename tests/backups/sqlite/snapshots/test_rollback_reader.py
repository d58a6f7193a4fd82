"""Pages of a database in rollback mode: what is copied again under the lock."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from backups.sqlite.snapshots.rollback_reader import BLOCK_BYTES, _Copying
from tests.backups import builders


def test_block_that_the_first_pass_did_not_see_is_not_taken_for_its_neighbour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that becomes shorter and grows again meanwhile is read with a gap."""
    live, alike = tmp_path / "tasks.db", b"A" * BLOCK_BYTES
    builders.healthy(live, "row")
    live.write_bytes(live.read_bytes().ljust(BLOCK_BYTES, b"\0") + alike * 3)
    content = live.read_bytes()
    with (tmp_path / "copy").open("w+b") as copy:
        copying = _Copying(f"file:{live}", str(live), copy.fileno())
        blocks = copying._blocks

        def with_a_gap(until: int) -> Iterator[tuple[int, memoryview]]:
            return (each for each in blocks(until) if each[0] != 2 * BLOCK_BYTES)

        @contextlib.contextmanager
        def locked() -> Iterator[None]:
            copying.size = len(content)
            yield

        monkeypatch.setattr(copying, "_blocks", with_a_gap)
        copying.copy_unlocked()
        monkeypatch.setattr(copying, "_blocks", blocks)
        monkeypatch.setattr(copying, "_locked", locked)
        monkeypatch.setattr(copying, "_finish", lambda: None)
        copying.complete()
        copying.close()
        assert (tmp_path / "copy").read_bytes() == content
