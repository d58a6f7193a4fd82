"""Processes of our own: what they import, what they say, and what they are not confused by."""

import ast
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from unittest import mock

import pytest

import backups
from backups.exceptions import ChildNotStartedError
from backups.processes import spawn
from backups.processes.spawn import command, run_module

ANSWER = """
from backups.processes.spawn import answering
def main(*words):
    with answering() as answer:
        {work}
"""


def module(folder: Path, work: str, name: str = "our_child") -> str:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(ANSWER.format(work=work))
    return name


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """On the import path. Its name has all that a list of paths could be confused by."""
    folder = tmp_path / "a:b 'c' \udcff"
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.mark.parametrize("with_site", [False, True])
def test_child_answers_with_its_words(folder: Path, *, with_site: bool) -> None:
    name = module(folder, "answer.write(repr(words))")
    words = ("a b", "", "--help", "\udcff")
    assert run_module(name, *words, with_site=with_site).stdout.decode() == repr(words)


def test_what_the_site_prints_is_no_answer(folder: Path) -> None:
    work = "print('loud'); os.system('echo louder'); answer.write('done')"
    name = module(folder, f"import os; {work}")
    ended = run_module(name)
    assert ended.stdout == b"done"
    assert b"louder" in ended.stderr


@pytest.mark.parametrize("with_site", [False, True])
@pytest.mark.parametrize("name", ["json", "token", "types", "select", "resource", "sqlite3"])
def test_file_of_somebody_else_in_the_current_folder_is_not_imported(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, with_site: bool
) -> None:
    (tmp_path / f"{name}.py").write_text("raise SystemExit('a file of somebody else ran')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    question = '{"path": "gone", "seconds": 1}'
    ended = run_module("backups.sqlite.checking.check_child", question, with_site=with_site)
    assert b"No such file" in ended.stdout


def test_relative_folders_are_for_the_site_s_own_code_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    name = module(tmp_path, "answer.write('here')")
    with pytest.raises(ChildNotStartedError, match=f"No module named '{name}'"):
        run_module(name)
    assert run_module(name, with_site=True).stdout == b"here"


def test_child_finds_this_app_wherever_its_parent_has_it_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E.g. from a relative folder of the import path, which no child gets."""
    monkeypatch.chdir(tmp_path)
    elsewhere = [each for each in sys.path if not Path(each, "backups").is_dir()]
    monkeypatch.setattr(sys, "path", elsewhere)
    words = command("backups.sqlite.checking.check_child", '{"path": "gone", "seconds": 1}')
    ended = subprocess.run(words, capture_output=True, check=True)
    assert b"No such file" in ended.stdout


def test_standard_library_goes_before_the_folders_of_the_site(folder: Path) -> None:
    module(folder, "pass", name="sched")
    name = module(folder, "import sched; answer.write(str(hasattr(sched, 'scheduler')))")
    assert run_module(name).stdout == b"True"
    assert run_module(name, with_site=True).stdout == b"False", "as in this process"


def test_current_folder_that_is_gone_is_left_out(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = module(folder, "answer.write('all the same')")
    gone = tmp_path / "gone"
    gone.mkdir()
    before = os.getcwd()
    os.chdir(gone)
    try:
        gone.rmdir()
        monkeypatch.setattr(sys, "path", ["", *sys.path])
        assert run_module(name, with_site=True).stdout == b"all the same"
    finally:
        os.chdir(before)


@pytest.mark.parametrize("home", ["/nowhere", ""])
def test_python_home_of_the_environment_is_for_others(
    home: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", home)
    assert run_module(module(folder, "answer.write('found')")).stdout == b"found"


def test_only_the_site_s_own_code_gets_the_secrets_of_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SECRET_KEY", "s3cret")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/odd/lib")  # where an unusual Python has its own
    name = module(folder, "import os; answer.write(' '.join(map('='.join, os.environ.items())))")
    said = run_module(name).stdout.decode()
    assert "s3cret" not in said
    assert {"TZ=Europe/Berlin", "LD_LIBRARY_PATH=/opt/odd/lib"} < set(said.split(" "))
    assert "DJANGO_SECRET_KEY=s3cret" in run_module(name, with_site=True).stdout.decode()


def test_nothing_is_started_that_just_inherits_the_environment() -> None:
    starts = [
        (path.name, call.keywords)
        for path in Path(backups.__file__).parent.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) in ("subprocess.Popen", "subprocess.run")
    ]
    assert {name for name, _ in starts} >= {"spawn.py", "pages.py"}
    for name, keywords in starts:
        assert "env" in {keyword.arg for keyword in keywords}, name


@pytest.mark.parametrize(
    ("program", "how"),
    [
        ("raise RuntimeError('odd')", "exit code 1: RuntimeError: odd"),
        ("import os; os.kill(os.getpid(), 9)", "signal 9"),
        ("print('a server of some kind')", "exit code 0: it printed nothing"),
    ],
)
def test_child_that_did_not_come_to_its_work_never_started(program: str, how: str) -> None:
    with (
        mock.patch.object(spawn, "command", return_value=[sys.executable, "-c", program]),
        pytest.raises(ChildNotStartedError, match=f"could not be started: it ended with {how}"),
    ):
        run_module("any")


def test_system_that_starts_nothing_is_told(tmp_path: Path) -> None:
    with (
        mock.patch.object(spawn, "command", return_value=[str(tmp_path / "gone")]),
        pytest.raises(ChildNotStartedError, match="gone: No such file or directory"),
    ):
        run_module("any")


def test_thread_that_the_system_refuses_is_told_as_a_process_is() -> None:
    with (
        pytest.raises(ChildNotStartedError, match=r"A thread .*: can't start new thread\."),
        spawn.starting_thread(),
    ):
        raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("seconds", [None, 60.0])
def test_child_that_never_comes_to_its_work_is_not_waited_for(
    seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python itself goes round for ever where an import finds no memory."""
    monkeypatch.setattr(spawn, "START_SECONDS", 0.2)
    program = "import time; time.sleep(60)"
    with (
        mock.patch.object(spawn, "command", return_value=[sys.executable, "-c", program]),
        pytest.raises(ChildNotStartedError, match=r"did not begin within 0 seconds"),
    ):
        run_module("any", seconds=seconds)


def test_child_that_runs_may_take_longer_than_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawn, "START_SECONDS", 1.0)
    program = (
        "import os, time; os.write(1, b'started\\nhalf '); time.sleep(1.2); os.write(1, b'done')"
    )
    with mock.patch.object(spawn, "command", return_value=[sys.executable, "-c", program]):
        assert run_module("any").stdout == b"half done"


@pytest.mark.parametrize(
    ("program", "is_there"),
    [
        ("os.write(1, b'noise started'); os.write(1, b'\\nand more')", True),
        ("time.sleep(60)", False),
        ("os.write(1, b'star')", False),
    ],
)
def test_start_of_a_child_is_waited_for_and_what_follows_it_is_not_read(
    program: str, is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawn, "START_SECONDS", 1.0)
    words = [sys.executable, "-S", "-c", f"import os, time; {program}"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert spawn.has_started(process) is is_there
        assert process.stdout is not None
        if is_there:
            assert process.stdout.read() == b"and more"
        process.kill()


def test_limit_under_which_no_python_starts_is_named() -> None:
    """An address space of 10 MiB: a service manager may set it a bit higher."""
    script = """
        import resource
        from backups.processes import spawn
        from backups.processes.spawn import run_module
        from backups.exceptions import ChildNotStartedError
        spawn.START_SECONDS = 5.0
        resource.setrlimit(resource.RLIMIT_AS, (10 * 1024**2, resource.RLIM_INFINITY))
        try:
            run_module("backups.sqlite.checking.check_child", "{}")
        except ChildNotStartedError as error:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
            print(error.hint)
    """
    words = [sys.executable, "-c", textwrap.dedent(script)]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.stdout.endswith(
        " This one is limited to 10 MiB of address space (ulimit -v).\n"
    ), ended


def test_child_that_nobody_waits_for_any_more_is_killed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawn, "LOOK_SECONDS", 0.01)
    name = module(folder, "import time; answer.flush(); time.sleep(3600)")
    before, started = children(), set[str]()  # another test may have a server for all of them

    def leave() -> None:
        started.update(children() - before)
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        run_module(name, watch=leave)
    assert len(started) == 1
    assert not children() & started


def test_child_that_is_waited_for_answers_as_without_a_watch(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawn, "LOOK_SECONDS", 0.01)
    before, looks = children(), []
    name = module(folder, "import sys; answer.write('x' * 10**6); answer.write(sys.stdin.read())")
    ended = run_module(name, seconds=60, watch=lambda: looks.append(1))
    assert len(ended.stdout) == 10**6
    assert looks
    with pytest.raises(subprocess.TimeoutExpired):
        run_module(
            module(folder, "import time; time.sleep(60)", "slow"), seconds=0.3, watch=lambda: None
        )
    assert children() <= before


def children() -> set[str]:
    """The pids of this process's children."""
    return set(Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split())
