"""Which Python the children run in, where this process is not one itself."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from backups.exceptions import ChildNotStartedError
from backups.processes import interpreter
from backups.processes.interpreter import explain_unfit, find_python

PYTHON = sys.executable


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> Iterator[None]:
    """What one test has found is nothing for the next, nor for the rest of this process."""
    interpreter._find.cache_clear()
    yield
    interpreter._find.cache_clear()


def script(path: Path, *lines: str) -> str:
    path.write_text("\n".join(["#!/bin/sh", *lines]))
    path.chmod(0o700)
    return str(path)


@pytest.fixture
def server(tmp_path: Path) -> str:
    """A program that must not be started: it would serve."""
    return script(tmp_path / "uwsgi", f"touch {tmp_path}/served")


def test_running_python_is_taken_without_starting_it() -> None:
    with mock.patch.object(interpreter, "explain_unfit", side_effect=AssertionError):
        assert find_python() == PYTHON


def test_server_that_embeds_python_is_not_started(server: str, tmp_path: Path) -> None:
    with mock.patch.object(sys, "executable", server):
        found = find_python()
    assert Path(found).resolve() == Path(PYTHON).resolve()
    assert os.listdir(tmp_path) == ["uwsgi"]


def test_virtual_environment_goes_before_the_python_it_stands_on(server: str) -> None:
    """Its site-packages have hooks (.pth files) that the other does not run."""
    with mock.patch.object(sys, "executable", server):
        assert Path(find_python()).parent == Path(sys.prefix, "bin")


@pytest.mark.parametrize("name", ["", "/nowhere/python3"])
def test_program_that_does_not_know_its_name_is_found(name: str) -> None:
    with mock.patch.object(sys, "executable", name):
        assert not explain_unfit(find_python())


def test_another_python_is_passed_over(tmp_path: Path) -> None:
    """As under mod_wsgi, which takes the first python3 on the path for its own."""
    other = script(tmp_path / "python3", "echo backups cpython-27 3 99 0")
    with mock.patch.object(sys, "executable", other):
        assert find_python() != other


def test_python_home_lets_nothing_be_taken_for_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with mock.patch.object(interpreter, "explain_unfit", return_value="") as asked:
        assert find_python() == PYTHON
    asked.assert_called_once_with(PYTHON)


def test_without_any_the_error_says_where_it_looked(server: str, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    with (
        mock.patch.multiple(
            sys,
            executable=server,
            _base_executable=server,
            prefix=nowhere,
            exec_prefix=nowhere,
            base_prefix=nowhere,
            base_exec_prefix=nowhere,
        ),
        mock.patch.object(os, "__file__", f"{nowhere}/lib/python3/os.py"),
        mock.patch.object(shutil, "which", return_value=None),
        pytest.raises(ChildNotStartedError) as caught,
    ):
        find_python()
    assert f"this one is {server}, and there is none in {nowhere}" in str(caught.value)
    assert "BACKUPS_PYTHON" in caught.value.hint
    assert os.listdir(tmp_path) == ["uwsgi"]


def test_named_python_is_the_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "with a name of its own"
    own.symlink_to(PYTHON)
    monkeypatch.setattr(interpreter, "named", str(own))
    assert find_python() == str(own)


def test_named_python_that_is_none_is_an_error_and_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreter, "named", str(tmp_path))
    with pytest.raises(ChildNotStartedError, match=f"BACKUPS_PYTHON is {tmp_path}, which is not"):
        find_python()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("echo hello", "did not answer like a Python"),
        ("exit 3", "did not answer like a Python"),
        ("echo backups pypy-73 3 99 0", "is pypy-73, but this process is {tag}"),
        ("echo backups {tag} 3 7 4", "has SQLite 3.7.4, but this process"),
    ],
)
def test_what_is_not_this_python_is_told(answer: str, problem: str, tmp_path: Path) -> None:
    tag = sys.implementation.cache_tag
    assert tag is not None
    python = script(tmp_path / "python", answer.replace("{tag}", tag))
    assert explain_unfit(python).startswith(problem.replace("{tag}", tag))


def test_what_cannot_be_run_is_told(tmp_path: Path) -> None:
    assert explain_unfit(str(tmp_path / "gone")) == "is not a program that this user may run"
    (broken := tmp_path / "python").write_bytes(b"\x7fELF")
    broken.chmod(0o700)
    assert "Exec format error" in explain_unfit(str(broken))
