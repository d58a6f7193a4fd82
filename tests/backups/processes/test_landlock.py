"""What a process that works on a hostile file can not reach any more, if there is Landlock."""

import errno
import json
import os
import socket
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from backups.processes import landlock
from backups.processes.spawn import run_module
from tests.backups import builders

HAS_LANDLOCK = landlock.version() > 0
WORK = """
import errno, json, os, signal, socket, subprocess, sys
from backups.sqlite.checking import sandbox
from tests.backups.denied import deny
path, other, port, site, parent = sys.argv[1:6]
{first}
sandbox.limit_process(file_bytes=os.stat(path).st_size, seconds=30)
status = open("/proc/self/status")
sandbox.confine(path, functions="django.db.backends.sqlite3._functions", with_site=bool(site))

def attempt(name, work):
    try:
        work()
        said[name] = "done"
    except OSError as error:
        said[name] = errno.errorcode[error.errno]

said = {{}}
folder = os.path.dirname(path)
attempt("read it", lambda: open(path, "rb").read())
attempt("import of this app", lambda: __import__("backups.unwrapping"))
attempt("write it", lambda: open(path, "r+b").write(b"SQLite"))
attempt("cut it", lambda: os.truncate(path, os.stat(path).st_size))
attempt("read another", lambda: open(other, "rb").read())
attempt("write another", lambda: open(other, "r+b").write(b"evil"))
attempt("cut another", lambda: os.truncate(other, 0))
attempt("make one", lambda: open(other + "-new", "wb"))
attempt("remove another", lambda: os.unlink(other))
attempt("rename it", lambda: os.rename(path, other + "-moved"))
attempt("list the folder", lambda: os.listdir(folder))
attempt("environment of another", lambda: open(f"/proc/{{parent}}/environ", "rb").read())
attempt("start a program", lambda: subprocess.run([sys.executable, "-c", ""]))
attempt("connect", lambda: socket.create_connection(("127.0.0.1", int(port))).close())
attempt("signal", lambda: os.kill(int(parent), 0))
attempt("many files", lambda: [os.dup(0) for _ in range(100)])
said["no new privileges"] = "NoNewPrivs:\t1" in status.read()
print(json.dumps(said))
"""
HARMLESS = ("read it", "import of this app", "write it", "cut it")
FORBIDDEN = (
    "write another",
    "cut another",
    "make one",
    "remove another",
    "rename it",
    "start a program",
)
SECRET = ("read another", "list the folder", "environment of another")


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def attempts(
    tmp_path: Path, port: int, *, first: str = "", site: bool = False
) -> dict[str, object]:
    """What a process that has given up what it can is told of each attempt."""
    path = builders.healthy(tmp_path / "x.db")
    (tmp_path / "secret_key").write_text("s3cret")
    words = [str(path), str(tmp_path / "secret_key"), str(port), "site" * site, str(os.getpid())]
    script = textwrap.dedent(WORK.format(first=first))
    ended = subprocess.run(
        [sys.executable, "-c", script, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    said: dict[str, object] = json.loads(ended.stdout)
    return said


def test_checking_process_opens_its_file_and_no_other(tmp_path: Path, port: int) -> None:
    said = attempts(tmp_path, port)
    assert {name: said[name] for name in HARMLESS} == dict.fromkeys(HARMLESS, "done")
    assert (said["many files"], said["no new privileges"]) == ("EMFILE", True)
    if HAS_LANDLOCK:
        for name in (*FORBIDDEN, *SECRET):
            assert said[name] in ("EACCES", "EPERM"), name
        assert (tmp_path / "secret_key").read_text() == "s3cret"
        assert sorted(os.listdir(tmp_path)) == ["secret_key", "x.db"]
    if landlock.version() >= 6:
        assert (said["connect"], said["signal"]) == ("EACCES", "EPERM")


def test_checking_process_with_code_of_the_site_reads_and_does_not_write(
    tmp_path: Path, port: int
) -> None:
    said = attempts(tmp_path, port, site=True)
    for name in (*HARMLESS, *SECRET):
        assert said[name] == "done", name
    if HAS_LANDLOCK:
        for name in FORBIDDEN:
            assert said[name] in ("EACCES", "EPERM"), name
        assert (tmp_path / "secret_key").read_text() == "s3cret"


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM])
def test_kernel_without_it_leaves_everything_as_it_is(
    error: int, tmp_path: Path, port: int
) -> None:
    said = attempts(tmp_path, port, first=f"deny('landlock_create_ruleset', error={error})")
    everything = (*HARMLESS, *SECRET, *FORBIDDEN, "connect", "signal")
    assert {name: said[name] for name in everything} == dict.fromkeys(everything, "done")
    assert (said["many files"], said["no new privileges"]) == ("EMFILE", True)


@pytest.mark.parametrize("kind", ["ImportError", "MemoryError"])
def test_python_without_ctypes_leaves_everything_as_it_is(
    kind: str, tmp_path: Path, port: int
) -> None:
    first = (
        "import builtins; real = builtins.__import__\n"
        "def without(name, *rest, **named):\n"
        f"    if name == 'ctypes': raise {kind}('no ctypes here')\n"
        "    return real(name, *rest, **named)\n"
        "sys.modules.pop('ctypes'); builtins.__import__ = without"
    )
    said = attempts(tmp_path, port, first=first)
    assert (said["read another"], said["connect"]) == ("done", "done")


def test_old_journal_beside_the_file_does_not_keep_it_from_being_checked(tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db")
    for content in (b"", bytes(512)):  # as TRUNCATE and PERSIST leave it
        (tmp_path / "x.db-journal").write_bytes(content)
        question = json.dumps({"path": str(path), "seconds": 30.0})
        verdict = json.loads(run_module("backups.sqlite.checking.check_child", question).stdout)
        assert (verdict["damage"], verdict["unread"]) == ([], "")
        assert (tmp_path / "x.db-journal").read_bytes() == content


SPY = """
import os, sys
def register(connection):
    print(sorted(os.environ), file=sys.stderr)
    for path in {paths}:
        try:
            print("READ", open(path).read(), file=sys.stderr)
        except OSError as error:
            print(error, file=sys.stderr)
"""


def test_check_of_a_file_can_read_neither_a_key_nor_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Functions that a schema calls stand in for code that a hostile file smuggles in."""
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.create_function("spy", 1, abs, deterministic=True)
        connection.executescript("CREATE TABLE t (a CHECK (spy(a))); INSERT INTO t VALUES (1)")
    secret = tmp_path / "secret_key"
    secret.write_text("s3cret")
    (tmp_path / "lib" / "spy").mkdir(parents=True)
    (tmp_path / "lib" / "spy" / "__init__.py").write_text(SPY.format(paths=[str(secret)]))
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    monkeypatch.setenv("DJANGO_SECRET_KEY", "s3cret")
    question = json.dumps({"path": str(path), "seconds": 30.0, "functions": "spy"})
    ended = run_module("backups.sqlite.checking.check_child", question)
    assert json.loads(ended.stdout)["unknown"] == "function spy"
    assert b"'PATH'" in ended.stderr
    assert b"SECRET" not in ended.stderr
    assert (b"Permission denied" in ended.stderr) is HAS_LANDLOCK
    assert (b"READ s3cret" in ended.stderr) is not HAS_LANDLOCK
