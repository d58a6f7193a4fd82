"""
Commands of the site that begin where Python has imported Django already.

Half of the time of a short command goes to imports. So each process that runs tests keeps one
Python that has done them, and nothing of a site: no settings, no app, no file. Each command is a
fork of it, a process of its own with its own environment, folder, standard streams and end.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NoReturn

CHECKOUT = Path(__file__).resolve().parents[1]
REQUEST_BYTES = 1024 * 1024  # an environment and a command line are far below that
MODULES = (
    "django.core.management.commands.migrate",
    "django.contrib.auth.password_validation",
    "django.db.backends.sqlite3.schema",
    "django.db.migrations.executor",
    "django.forms",
    "multipart",
    "requests",
    "rest_framework.serializers",
    "rich.progress",
    "whitenoise",
)


class Forked:
    """A command that runs; as much of ``subprocess.Popen`` as ``communicate`` needs."""

    def __init__(self, command: list[str], cwd: Path, environment: dict[str, str]) -> None:
        """Start ``manage.py`` with these arguments."""
        streams = [socket.socketpair() for _ in range(3)]  # input, output, errors
        self._streams = [ours for ours, _ in streams]
        self._end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._end.connect(_address())
        request = {"command": command, "cwd": str(cwd), "environment": environment}
        theirs = [stream.fileno() for _, stream in streams]
        socket.send_fds(self._end, [json.dumps(request).encode()], theirs)
        for _, stream in streams:
            stream.close()

    def communicate(self, given: bytes, seconds: float) -> tuple[bytes, bytes, int]:
        """Give it its input, and wait for its end: both outputs and the exit code."""
        stdin, *outputs = self._streams
        for stream in (*self._streams, self._end):
            stream.settimeout(seconds)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stdin.sendall(given)
            stdin.shutdown(socket.SHUT_WR)
        read: dict[socket.socket, bytes] = dict.fromkeys(outputs, b"")
        with selectors.DefaultSelector() as selector:
            for output in outputs:
                selector.register(output, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(seconds)
                assert ready, "the command did not end in time"
                for key, _ in ready:
                    output = outputs[0] if key.fileobj is outputs[0] else outputs[1]
                    if chunk := output.recv(65536):
                        read[output] += chunk
                    else:
                        selector.unregister(output)
        code = int(self._end.recv(64))
        for stream in (*self._streams, self._end):
            stream.close()
        return read[outputs[0]], read[outputs[1]], code


@cache
def _address() -> bytes:
    """Start the Python that is forked, once a test process; it ends with it."""
    name = b"\0tests-forked-%d" % os.getpid()  # without a file: unix(7), abstract
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.forked", name[1:].decode()],
        cwd=CHECKOUT,
        env={key: value for key, value in os.environ.items() if not key.startswith("DJANGO_")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.read(1), "it could not be started"
    atexit.register(process.__exit__, None, None, None)  # it ends when its standard input does
    return name


# In the Python that is forked


def main(name: str) -> None:
    """Fork at each request, until the test process has ended."""
    _import()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(b"\0" + name.encode())
        listener.listen()
        wake, woken = socket.socketpair()
        wake.setblocking(False)
        signal.set_wakeup_fd(wake.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        os.write(sys.stdout.fileno(), b".")
        _serve(listener, woken)


def _serve(listener: socket.socket, woken: socket.socket) -> None:
    running: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        for source in (listener, woken, sys.stdin):
            selector.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    running[_fork(connection, (listener, woken, *running.values()))] = connection
                elif key.fileobj is woken:
                    woken.recv(4096)
                    _tell(running)
                else:
                    return


def _tell(running: dict[int, socket.socket]) -> None:
    """Tell the exit code of each that has ended."""
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with running.pop(pid) as connection, contextlib.suppress(OSError):
            connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _fork(connection: socket.socket, others: tuple[socket.socket, ...]) -> int:
    raw, streams, _, _ = socket.recv_fds(connection, REQUEST_BYTES, 3)
    pid = os.fork()
    if not pid:
        for other in (connection, *others):
            other.close()
        _become(json.loads(raw), streams)
    for stream in streams:
        os.close(stream)
    return pid


def _become(request: dict[str, object], streams: list[int]) -> NoReturn:
    """Be that command, to its end."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    command, environment = request["command"], request["environment"]
    assert isinstance(command, list)
    assert isinstance(environment, dict)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(str(request["cwd"]))
    sys.argv = [str(CHECKOUT / "manage.py"), *command]
    own = environment.get("PYTHONPATH", "")
    sys.path[:1] = [str(CHECKOUT), *filter(None, own.split(os.pathsep))]
    runpy.run_path(sys.argv[0], run_name="__main__")
    sys.exit()


def _import() -> None:
    """What a command imports that needs to know of no site."""
    for module in MODULES:
        importlib.import_module(module)
    gc.freeze()


if __name__ == "__main__":
    main(sys.argv[1])
