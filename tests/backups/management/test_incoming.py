"""The snapshot that a command is given: what can be wrong with where it comes from."""

import io

import pytest
from django.core.management.base import CommandError

from backups.management.incoming import Incoming


class Failing(io.BytesIO):
    """A file on a disk that is pulled out."""

    def read(self, _: int | None = -1) -> bytes:
        raise OSError(5, "Input/output error")

    def fileno(self) -> int:
        return 0


def test_source_that_cannot_be_read_is_named_and_not_the_destination() -> None:
    with pytest.raises(CommandError, match=r"^/mnt/usb/saved\.db can't be read: Input/output"):
        next(Incoming("/mnt/usb/saved.db", Failing()).chunks())


def test_pipe_that_cannot_be_read_is_not_told_as_a_full_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Incoming, "size", None)
    with (
        pytest.raises(CommandError, match=r"^standard input can't be read"),
        Incoming("-", Failing()).with_length(),
    ):
        pass
