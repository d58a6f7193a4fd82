"""
System calls as points where a process can be stopped: listed by one run under strace, and in
another one killed at, or failed.

A point is the K-th call of one name, counted by strace from the moment it is attached. That the
fault met the call that was meant is read from the log of each run: a proof that misses proves
nothing.

Source: strace(1), "Tampering".
"""

import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# A name with "?" need not exist: not every machine has every call.
WRITES = ("write", "pwrite64", "writev", "pwritev", "pwritev2", "?sendfile", "copy_file_range")
TAKE_SPACE = (*WRITES, "fallocate", "?link", "linkat", "?mkdir", "mkdirat", "?symlink", "symlinkat")
CHANGE = (
    *TAKE_SPACE,
    *("fsync", "fdatasync", "sync_file_range", "msync", "syncfs"),
    *("?rename", "?renameat", "renameat2", "?unlink", "unlinkat", "?rmdir"),
    *("truncate", "ftruncate", "?chmod", "fchmod", "fchmodat", "?chown", "fchown", "fchownat"),
    *("?lchown", "setxattr", "lsetxattr", "fsetxattr", "?utimensat", "?creat"),
)
OPEN = ("?open", "openat", "?openat2")  # a change if they may create or cut off
READ = (
    *("read", "pread64", "readv", "preadv", "getdents64", "flock", "fcntl"),
    *("?stat", "?lstat", "fstat", "?newfstatat", "statx", "statfs", "fstatfs"),
    *("?access", "faccessat", "faccessat2", "?readlink", "readlinkat"),
    *("listxattr", "llistxattr", "flistxattr", "getxattr", "lgetxattr", "fgetxattr"),
)
CREATING = re.compile(r"O_CREAT|O_TRUNC")

LINE = re.compile(r"(?:\d+ +)?(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>.*)")
KILLED = re.compile(r"(?:\d+ +)?\+\+\+ killed by (SIG\w+)")
OF_THE_MOMENT = {  # what a name has that differs from run to run
    re.compile(r"(?<=-)[0-9a-f]{16}\b"): "<random>",
    re.compile(r"\.[0-9a-f]{16}(?=\.json)"): ".<hash>",
    re.compile(r"\d{8}-\d{6}"): "<time>",
}


@dataclass(frozen=True)
class Call:
    """One line of a log."""

    name: str
    number: int  # the how manieth call of this name it is, from 1
    target: str  # the files of the data folder that it names, or "" if none
    changes: bool  # whether it can change the folder
    result: str

    @property
    def is_injected(self) -> bool:
        """Whether strace had its hand in it."""
        return "(INJECTED)" in self.result

    def __str__(self) -> str:
        return f"{self.name}#{self.number}({self.target})"


@dataclass(frozen=True)
class Fault:
    """What strace does to calls: ``-e inject=…``."""

    names: str
    what: str  # "signal=KILL", "error=EIO" …
    when: str = ""  # as strace has it; empty for each call

    def __str__(self) -> str:
        return f"inject={self.names}:{self.what}" + (f":when={self.when}" if self.when else "")


class Tracer:
    """One run under strace: with these faults, its log in this file."""

    def __init__(self, folder: Path, log: Path, *faults: Fault, only: Iterable[str] = ()) -> None:
        """
        Nothing is traced yet.

        :param folder: whose files are told apart from the rest of the world.
        :param only: the names of the calls to see, which is quicker than to see all.
        """
        self._folder, self._log, self._faults, self._only = folder, log, faults, only

    @contextmanager
    def attached_to(self, pid: int) -> Iterator[None]:
        """Trace this process in the block, which ends with the process."""
        command = [*self._command(), "-p", str(pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
            assert strace.stderr is not None
            said = strace.stderr.readline()
            assert said.endswith(f"Process {pid} attached\n"), said + strace.stderr.read()
            yield

    def write_script(self, path: Path, module: str) -> None:
        """Make a program that is this Python, and traced if one of its words is this module."""
        # With -D strace is not its parent but its child, so that its pid is what it was.
        traced = shlex.join([*self._command(), "-D", sys.executable])
        path.write_text(
            f"""#!/bin/sh
            for word do test "$word" = {module} && exec {traced} "$@"; done
            exec {shlex.quote(sys.executable)} "$@"
            """
        )
        path.chmod(0o700)

    def _command(self) -> list[str]:
        calls = ",".join(self._only or (*CHANGE, *OPEN, *READ))
        faults = [word for fault in self._faults for word in ("-e", str(fault))]
        return ["strace", "-o", str(self._log), "-y", "-s", "0", "-e", f"trace={calls}", *faults]

    def calls(self) -> list[Call]:
        """What the process did, in order."""
        counts: Counter[str] = Counter()
        calls = []
        for line in self._log.read_text(errors="replace").splitlines():
            if match := LINE.match(line):
                counts[match["name"]] += 1
                calls.append(self._call(match, counts[match["name"]]))
        return calls

    def ending(self) -> str:
        """The signal that ended the process; empty if it ended by itself."""
        match = KILLED.match(self._log.read_text(errors="replace").splitlines()[-1])
        return match[1] if match else ""

    def _call(self, match: re.Match[str], number: int) -> Call:
        name, arguments = match["name"], match["arguments"]
        inside = re.findall(re.escape(str(self._folder)) + r'(/[^">,]*)?[">]', arguments)
        target = ", ".join(path or "/" for path in inside)
        for pattern, word in OF_THE_MOMENT.items():
            target = pattern.sub(word, target)
        changes = bool(CREATING.search(arguments)) if _among(name, OPEN) else _among(name, CHANGE)
        return Call(name, number, target, changes, match["result"])


def _among(name: str, names: tuple[str, ...]) -> bool:
    return name in names or f"?{name}" in names


def takes_space(call: Call) -> bool:
    """Whether a full disk can refuse it."""
    return _among(call.name, TAKE_SPACE)


def from_then_on(call: Call, calls: list[Call], *, pipes: bool) -> list[Fault]:
    """
    A disk that is full from this call on: strace counts each name by itself.

    What fails in every run of this place goes on to fail in its own way: of two faults for one
    name strace knows the last.

    :param pipes: write(2) fills a pipe as well, which is never full; then it is left alone.
    """
    before = Counter(each.name for each in calls[: calls.index(call)])
    names = [name.lstrip("?") for name in TAKE_SPACE if name != "write" or not pipes]
    used = {each.name for each in calls} - {each.name for each in calls if each.is_injected}
    return [Fault(name, "error=ENOSPC", f"{before[name] + 1}+") for name in names if name in used]
