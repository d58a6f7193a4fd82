"""
Real PostgreSQL servers on loopback, each in a folder of its own.

None outlives the thread that started it: the system ends it, even where that is killed.
"""

import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

import psycopg

from tests.postgres import programs

HOST = "127.0.0.1"
ADMIN, ROLE = "postgres", "site"
START_SECONDS = 60.0  # plenty: an empty one takes 0.1, one after a crash 1
TRIES = 3  # another may take a free port before the server does
QUICK = ("fsync=off", "full_page_writes=off")  # a crash of the machine may cost rows


@dataclass
class Server:
    """One that runs, unless a test has killed it."""

    version: int
    programs: Path
    folder: Path
    settings: tuple[str, ...]
    password: str = field(default_factory=lambda: token_hex(8))
    port: int = 0
    host: str = HOST
    role: str = ROLE
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def data(self) -> Path:
        """Where it keeps everything."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What it has said."""
        return self.folder / "log"

    def url(self, name: str, role: str = ROLE) -> str:
        """Name a database of it as ``DATABASE_URL`` does."""
        return f"postgres://{role}:{self.password}@{self.host}:{self.port}/{name}"

    def conninfo(self, name: str, role: str = ROLE) -> str:
        """Name a database of it as libpq and psycopg do."""
        return psycopg.conninfo.make_conninfo(
            host=self.host, port=self.port, user=role, password=self.password, dbname=name
        )

    def admin(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement as the superuser; the rows of its answer, if it has any."""
        with psycopg.connect(self.conninfo(database, ADMIN), autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def make_database(self) -> str:
        """Make an empty database that is the site's own, and name it."""
        name = f"site_{token_hex(4)}"
        self.admin(f"CREATE DATABASE {name} OWNER {self.role}")
        return name

    def start(self) -> None:
        """Start it and wait until it answers. The first time it takes a free port."""
        assert self._process is None
        tries = 1 if self.port else TRIES
        for _ in range(tries):
            port = self.port or _free_port()
            self._process = self._launch(port)
            if self._answers(port):
                self.port = port
                return
            self.stop()
        raise AssertionError(f"PostgreSQL does not start:\n{self.log.read_text()}")

    def stop(self) -> None:
        """End it at once. What is committed is in its write-ahead log."""
        self._end(signal.SIGQUIT)

    def shut_down(self) -> None:
        """Shut it down: it ends every session first."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """``kill -9`` it and every process of it, as if the machine went."""
        assert self._process
        pid = self._process.pid
        self._process.send_signal(signal.SIGSTOP)  # so that it starts no other
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ends = [os.pidfd_open(int(child)) for child in children]
        for process in (pid, *map(int, children)):
            os.kill(process, signal.SIGKILL)
        self._process.wait()
        self._process = None
        for end in ends:
            assert select.select([end], [], [], START_SECONDS)[0]
            os.close(end)

    def is_running(self) -> bool:
        """Whether its first process is there."""
        return self._process is not None and self._process.poll() is None

    def _launch(self, port: int) -> "subprocess.Popen[bytes]":
        own = (f"listen_addresses={self.host}", f"port={port}", "unix_socket_directories=")
        options = [word for each in (*own, *self.settings) for word in ("-c", each)]
        command = [*programs.as_user(), f"{self.programs}/postgres", "-D", f"{self.data}", *options]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, env=self._environment(), stdout=log, stderr=log
            )

    def _environment(self) -> dict[str, str]:
        """With the server's own libraries: a standby would take the system's libpq."""
        return os.environ | {"LD_LIBRARY_PATH": str(self.programs.parent / "lib")}

    def _answers(self, port: int) -> bool:
        pause = 0.05
        words = self.conninfo("postgres", ADMIN)
        for _ in range(int(START_SECONDS / pause)):
            with suppress(psycopg.OperationalError):
                psycopg.connect(words, port=port).close()
                return True
            assert self._process
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(pause)
                return False
        return False

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(START_SECONDS)
            self._process = None


@contextmanager
def new_server(
    version: int, *settings: str, durable: bool = False, within: Path | None = None
) -> Iterator[Server]:
    """
    A server with an empty role, ended at the end of the block.

    It syncs nothing unless it is ``durable``: what it commits outlives a kill of it all the same.
    """
    # Not below the test's folder, where only who runs the tests may look.
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=within))
    try:
        programs.give(folder)
        where = programs.reachable(programs.found()[version], folder)
        server = Server(version, where, folder, (*(() if durable else QUICK), *settings))
        _initialise(server)
        server.start()
        try:
            server.admin(f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{server.password}'")
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _initialise(server: Server) -> None:
    """Make the data folder; where it can be, with an order of text that is not that of bytes."""
    built = subprocess.check_output([server.programs / "pg_config", "--configure"], text=True)
    order = ["--locale-provider=icu", "--icu-locale=en-US"] if "'--with-icu'" in built else []
    secret = server.folder / "password"
    secret.write_text(server.password)
    secret.chmod(0o644)
    words = ["-D", f"{server.data}", "-U", ADMIN, "-A", "scram-sha-256", f"--pwfile={secret}"]
    command = [*programs.as_user(), f"{server.programs}/initdb", *words, "--no-sync"]
    encoding = ["--encoding=UTF8", "--locale=C.UTF-8", *order]
    made = subprocess.run(
        [*command, *encoding], cwd=server.folder, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    secret.unlink()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
