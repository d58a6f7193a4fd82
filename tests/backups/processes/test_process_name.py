"""What real processes are called: never by a word that could be a secret."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backups.processes import process_name
from backups.processes.process_name import name_of

PYTHON = os.path.basename(sys.executable)
SECRET = "hunter2"
SCRIPT = "import sys; print('runs', flush=True); sys.stdin.read()"
NOBODY = 65534


@contextmanager
def running(*arguments: str, program: str = sys.executable, **options: object) -> Iterator[int]:
    """A real process, which says that it runs; yields its pid."""
    with subprocess.Popen(
        arguments,
        executable=program,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,  # type: ignore[call-overload]
    ) as process:
        assert process.stdout.readline() == "runs\n"
        yield process.pid
        process.communicate("")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "worker.py"
    path.write_text(SCRIPT)
    return path


@pytest.fixture
def manage(tmp_path: Path) -> Path:
    path = tmp_path / "manage.py"
    path.write_text(SCRIPT)
    return path


@pytest.fixture(autouse=True)
def _commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_name, "is_command", {"shell", "migrate"}.__contains__)


def test_script_is_called_by_its_file_alone(script: Path) -> None:
    with running(sys.executable, "-B", str(script), SECRET, f"--key={SECRET}") as pid:
        assert name_of(pid) == "worker.py"


@pytest.mark.parametrize(
    "options", [["-W", "error"], ["-Wdefault"], ["-X", "dev", "-IB"], ["-IW", "ignore"]]
)
def test_value_of_an_option_of_python_is_not_the_script(options: list[str], script: Path) -> None:
    with running(sys.executable, *options, str(script), SECRET) as pid:
        assert name_of(pid) == "worker.py"


@pytest.mark.parametrize(
    "options", [["-c", SCRIPT], [f"-c{SCRIPT}"], ["-Ic", SCRIPT], [f"-Bc{SCRIPT}#/{SECRET}"]]
)
def test_program_on_the_command_line_is_not_shown(options: list[str]) -> None:
    with running(sys.executable, *options, SECRET) as pid:
        assert name_of(pid) == f"{PYTHON} -c"


@pytest.mark.parametrize("options", [["-m", "worker"], ["-mworker"], ["-Bm", "worker"]])
def test_module_is_called_by_its_name(options: list[str], script: Path) -> None:
    with running(sys.executable, *options, SECRET, cwd=script.parent) as pid:
        assert name_of(pid) == "worker"


def test_program_from_standard_input_has_no_name_of_its_own() -> None:
    with subprocess.Popen([sys.executable, "-", SECRET], stdin=subprocess.PIPE) as process:
        assert name_of(process.pid) == PYTHON
        process.communicate(b"")


def test_command_of_the_site_is_shown_and_none_of_its_arguments(manage: Path) -> None:
    with running(sys.executable, str(manage), "shell", "--command", SECRET) as pid:
        assert name_of(pid) == "manage.py shell"


@pytest.mark.parametrize("words", [[SECRET], [f"--key={SECRET}", "shell"], ["shell;x"], []])
def test_word_that_is_no_command_of_the_site_is_not_shown(words: list[str], manage: Path) -> None:
    with running(sys.executable, str(manage), *words) as pid:
        assert name_of(pid) == "manage.py"


def test_command_behind_another_program_is_not_looked_for(script: Path) -> None:
    with running(sys.executable, str(script), "shell") as pid:
        assert name_of(pid) == "worker.py"


@pytest.mark.parametrize(
    "title", [f"worker: redis://:{SECRET}@host/{SECRET}", f"redis://host/{SECRET}", " ", "a\nb"]
)
def test_title_that_a_process_has_given_itself_is_not_shown(title: str) -> None:
    with running(title, "-c", "echo runs; read line", program="/bin/sh") as pid:
        assert name_of(pid) == "sh"


def test_process_of_another_user_is_called_alike(script: Path) -> None:
    other = {"user": NOBODY} if os.geteuid() == 0 else {}
    with running(
        "/bin/sh", "-c", "echo runs; read line", SECRET, program="/bin/sh", **other
    ) as pid:
        assert name_of(pid) == "sh"


def test_process_that_is_gone_has_no_name() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert name_of(ended.pid) == ""
