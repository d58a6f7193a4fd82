"""The progress of a transfer: a bar on a terminal, nothing in a log file."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


class Bar:
    """Shows nothing. Call it with the number of bytes of each step."""

    def __call__(self, size: int) -> None:
        """So many more bytes are done."""

    def tell(self, step: str, done: int, total: int | None) -> None:
        """Something else is done now: ``store.Tell``."""


class DrawnBar(Bar):
    """A bar on a terminal."""

    def __init__(self, title: str, total: int | None, console: "Console") -> None:
        """Draws it."""
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
        from rich.progress import TransferSpeedColumn as Speed

        columns = (TextColumn(title), BarColumn(), DownloadColumn(), Speed())
        self._console, self._is_told = console, False
        self._draw(Progress(*columns, console=console, transient=True), title, total)

    def __call__(self, size: int) -> None:
        self._progress.advance(self._task, size)

    def tell(self, step: str, done: int, total: int | None) -> None:
        """In a bar of its own, which counts no bytes."""
        if not self._is_told:
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
            self.stop()
            self._is_told = True
            self._draw(Progress(*columns, console=self._console, transient=True), "", None)
        words = step[:1].upper() + step[1:]
        self._progress.update(self._task, description=words, completed=done, total=total)

    def stop(self) -> None:
        """Remove it."""
        self._progress.stop()

    def _draw(self, progress: "Progress", title: str, total: int | None) -> None:
        self._progress, self._task = progress, progress.add_task(title, total=total)
        progress.start()


@contextmanager
def progress_bar(title: str, total: int | None, *, is_quiet: bool = False) -> Iterator[Bar]:
    """Yield what to call with the bytes of each step. Draws only on a terminal, to stderr."""
    console = None if is_quiet else _terminal()
    if console is None:
        yield Bar()
        return
    bar = DrawnBar(title, total, console)
    try:
        yield bar
    finally:
        bar.stop()


def _terminal() -> "Console | None":
    """The terminal; None if standard error is not one, or if rich is not installed."""
    try:
        from rich.console import Console
    except ModuleNotFoundError:
        return None
    console = Console(stderr=True)
    return console if console.is_terminal else None
