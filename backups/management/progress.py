"""The progress of a transfer: a bar on a terminal, nothing in a log file."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from backups.disk.progress import Progress as Step

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def progress_bar(title: str, total: int | None, *, is_quiet: bool = False) -> Iterator[Step]:
    """Yield a function to call with the bytes of each step. Draws only on a terminal, to stderr."""
    console = None if is_quiet else _terminal()
    if console is None:
        yield lambda _: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn(title), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda step: progress.advance(task, step)


def _terminal() -> "Console | None":
    """The terminal; None if standard error is not one, or if rich is not installed."""
    try:
        from rich.console import Console
    except ModuleNotFoundError:
        return None
    console = Console(stderr=True)
    return console if console.is_terminal else None
