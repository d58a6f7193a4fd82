"""How far a transfer is: a bar when a person watches, nothing in a log file."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn


@contextmanager
def progress_bar(
    title: str, total: int | None, *, is_quiet: bool = False
) -> Iterator[Callable[[int], None]]:
    """
    Yield a function to call with the bytes of each step.

    The bar is drawn on standard error, and only on a terminal.
    """
    console = Console(stderr=True)
    if is_quiet or not console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn(title), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda step: progress.advance(task, step)


def count(chunks: Iterable[bytes], progress: Callable[[int], None]) -> Iterator[bytes]:
    """Pass the chunks on, and tell ``progress`` of each."""
    for chunk in chunks:
        progress(len(chunk))
        yield chunk
