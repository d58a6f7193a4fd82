"""Standard output that is full, or whose reader has gone, ends a command with its own exit code."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.core.management.base import CommandError, OutputWrapper


@contextmanager
def printing(what: str, out: OutputWrapper, *, then: str = "") -> Iterator[None]:
    """
    Print to a command's ``stdout`` during the block. All of it has been written when that ends.

    :param what: what is printed, for the message: "the list".
    :param then: one more sentence for the message.
    :raises CommandError: it could not be written, or its reader has stopped reading.
    """
    if _is_closed(out):
        raise CommandError(f"Standard output is closed. {then}".strip())
    try:
        yield
        out.flush()
    except OSError as error:
        _detach(out)
        message = f"Standard output could not be written: {error.strerror or error}."
        if isinstance(error, BrokenPipeError):
            message = f"The program that read {what} stopped before its end."
        raise CommandError(f"{message} {then}".strip()) from error


def tell(words: str, out: OutputWrapper, err: OutputWrapper) -> None:
    """Print the outcome. The work is done, so a failure to write this is not an error."""
    if _is_closed(out):
        err.write(words, str)
        return
    try:
        out.write(words)
        out.flush()
    except OSError as error:
        with suppress(OSError):
            err.write(f"{words}\n(Standard output could not be written: {error.strerror}.)", str)
        _detach(out)


def _is_closed(out: OutputWrapper) -> bool:
    """Whether the shell closed it (``>&-``): then Python has no ``sys.stdout``."""
    return getattr(out, "_out", None) is None


def _detach(out: OutputWrapper) -> None:
    """Otherwise the interpreter writes the rest when it exits, and fails with its own message."""
    stream = getattr(out, "_out", None)
    if stream is None or stream is not sys.stdout:
        return  # a caller's own
    with (
        suppress(OSError, ValueError, AttributeError),
        open(os.devnull, "w", encoding="utf-8") as nowhere,
    ):
        os.dup2(nowhere.fileno(), stream.fileno())
