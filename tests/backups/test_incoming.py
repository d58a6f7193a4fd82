"""The snapshot that a command is given: what can be wrong with where it comes from."""

import io

import pytest
from django.core.management.base import CommandError

from backups.management.incoming import Incoming, read_chunk


class Failing(io.BytesIO):
    """A file on a disk that is pulled out."""

    name = "/mnt/usb/saved.db"

    def read(self, _: int | None = -1) -> bytes:
        raise OSError(5, "Input/output error")

    def fileno(self) -> int:
        return 0


def test_source_that_cannot_be_read_is_named_and_not_the_destination() -> None:
    with pytest.raises(CommandError, match=r"^/mnt/usb/saved\.db can't be read: Input/output"):
        read_chunk(Failing())


def test_pipe_that_cannot_be_read_is_not_told_as_a_full_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Incoming, "size", None)
    with (
        pytest.raises(CommandError, match=r"^/mnt/usb/saved\.db can't be read"),
        Incoming("-", Failing()).with_length(),
    ):
        pass
