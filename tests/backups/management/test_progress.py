import io
import os
import pty
import sys
import threading

import pytest
from rich.console import Console

from backups.management import progress
from backups.management.progress import progress_bar


def test_without_rich_nothing_is_drawn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)  # as if it were not installed
    with progress_bar("Saving", 10) as step:
        step(10)
    assert capsys.readouterr() == ("", "")


def test_nothing_is_drawn_into_a_log_file(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("Saving", 10) as step:
        step(10)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("total", [10, None])
def test_a_bar_is_drawn_on_a_terminal(
    total: int | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = pty.openpty()
    drawn: list[bytes] = []

    def watch() -> None:
        try:
            while chunk := os.read(ours, 1000):
                drawn.append(chunk)
        except OSError:  # Linux: the other end was closed
            pass

    watcher = threading.Thread(target=watch)
    watcher.start()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setattr(
            "rich.console.Console",
            lambda stderr: Console(stderr=stderr, force_terminal=True, width=90),
        )
        with progress_bar("Saving", total) as step:
            step(10)
    watcher.join()
    os.close(ours)
    assert b"Saving" in b"".join(drawn)
    assert capsys.readouterr().out == "", "standard output may be the snapshot itself"


def test_another_kind_of_work_has_a_bar_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=90)
    monkeypatch.setattr(progress, "_terminal", lambda: console)
    with progress_bar("Staging", 10) as bar:
        bar(10)
        bar.tell("copying rows", 1, 4)
        bar.tell("copying rows", 3, 4)
        bar.tell("comparing", 0, None)
    drawn = screen.getvalue()
    assert "Staging" in drawn
    assert "Comparing" in drawn
    assert "bytes" not in drawn[drawn.rindex("Comparing") :], "it counts no bytes"


def test_what_is_told_is_not_drawn_into_a_log_file(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("Staging", 10) as bar:
        bar.tell("copying rows", 1, 4)
    assert capsys.readouterr() == ("", "")
