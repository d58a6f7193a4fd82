"""
The check of a large file by two processes: each takes the next part that nobody has.

Who finds none left says so to the one that waits to hash the file, for which there is a core
from then on.
"""

import contextlib
import json
import os
import select
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from backups.exceptions import ChildNotStartedError
from backups.processes.lifeline import end_with_parent
from backups.processes.spawn import answering, command, environment, has_started, leave
from backups.sqlite.checking.messages import Question, load_setup, tell_settled
from backups.sqlite.checking.pragmas import REFERENCES, Findings, check_whole, find_parts
from backups.sqlite.checking.sandbox import Sandbox, confine, limit_process

SHARED_FROM = 128 * 1024**2  # 128 MiB: below, a second process takes as long to start as it saves

# The number of a part; after the last comes that many if the file is unchanged, one more if it is
# changed. A pipe gives four bytes to one reader at a time.
_NUMBER = struct.Struct("=I")


class Partner:
    """A second process, which waits for parts to check; none for a file that is small."""

    def __init__(self, question: Question) -> None:
        """Start it, so that it is ready when the file is as it will stay."""
        self._question = question
        is_large = os.path.getsize(question.path) >= SHARED_FROM
        self.is_there = is_large and not question.is_ours and _cores() > 1
        if self.is_there:
            self._parts, self._hand_out = os.pipe()
            try:
                self._process = self._start()
            except (OSError, ChildNotStartedError):  # then one does it all
                self._close_pipe()
                self.is_there = False

    def check(self, sandbox: Sandbox, *, changed: bool) -> Findings:
        """
        Check the whole file together, or alone if there is no other. Returns what was found.

        What the other does not say that it has done is done here.

        :param changed: whether the bytes are not those that came, which whoever hashes them is
            told: at once, or when one of two has nothing left to check.
        :raises sqlite3.Error: SQLite can't go on.
        """
        if not self.is_there:
            tell_settled(self._question.settled, changed=changed)
            return check_whole(sandbox, self._question)
        parts = find_parts(sandbox.connection)
        numbers = [*range(len(parts)), len(parts) + changed]
        os.write(self._hand_out, b"".join(map(_NUMBER.pack, numbers)))
        os.close(self._hand_out)
        self._hand_out = -1
        found = check_share(sandbox, self._question, parts, self._parts)
        if not found.is_enough:
            found.add(self._answer())
        for number in sorted(set(range(len(parts))).difference(found.done)):
            if found.is_enough:
                break
            found.check(number, parts[number], sandbox, self._question.functions)
        return found

    def close(self) -> None:
        """End it, if it has not ended."""
        if not self.is_there:
            return
        self._process.kill()
        self._process.communicate()
        self._close_pipe()

    def _start(self) -> "subprocess.Popen[bytes]":
        question = replace(self._question, clear=(), account=None)
        words = json.dumps(asdict(question))
        return subprocess.Popen(
            command("backups.sqlite.checking.partner", words, with_site=bool(question.setup)),
            env=environment(with_site=bool(question.setup)),
            stdin=self._parts,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(question.settled,) if question.settled >= 0 else (),
        )

    def _close_pipe(self) -> None:
        for descriptor in (self._parts, self._hand_out):
            if descriptor >= 0:
                os.close(descriptor)

    def _answer(self) -> Findings:
        """What the other has done; nothing, if it does not say so in time or in our words."""
        assert self._process.stdout is not None
        if has_started(self._process):
            with contextlib.suppress(ValueError, TypeError):
                return Findings(**json.loads(self._process.stdout.read()))
        return Findings()


def check_share(
    sandbox: Sandbox, question: Question, parts: list[str], handed_out: int
) -> Findings:
    """Check one part after another, until there is none left or enough is found."""
    share = Findings()
    for number in _numbers(handed_out):
        if number >= len(parts):
            tell_settled(question.settled, changed=number > len(parts))
            break
        try:
            share.check(number, parts[number], sandbox, question.functions)
        except sqlite3.Error:
            if parts[number] != REFERENCES:  # which fails of damage that the other may find
                raise
        if share.is_enough:
            break
    return share


def _numbers(handed_out: int) -> Iterator[int]:
    while raw := os.read(handed_out, _NUMBER.size):
        yield _NUMBER.unpack(raw)[0]


def _cores() -> int:
    """On how many this process may run."""
    with contextlib.suppress(OSError, AttributeError):  # not everywhere, nor under every filter
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def main(question: str) -> None:
    """Check what is handed out on standard input; answer with what was done, one JSON object."""
    end_with_parent()
    with answering() as answer:
        asked = load_setup(Question(**json.loads(question)))
        answer.write(json.dumps(asdict(_check_share(asked))))
    if asked.setup:
        leave()


def _check_share(asked: Question) -> Findings:
    limit_process(
        file_bytes=os.stat(asked.path).st_size,
        seconds=asked.seconds,
        memory_bytes=asked.memory_bytes,
    )
    handed_out = sys.stdin.fileno()
    select.select([handed_out], [], [])  # when there is a part, the file is as it will stay
    confine(asked.path, functions=asked.functions, with_site=bool(asked.setup))
    sandbox = Sandbox(Path(asked.path), seconds=asked.seconds)
    if asked.setup:
        sandbox.bring_functions(asked.functions)
    return check_share(sandbox, asked, find_parts(sandbox.connection), handed_out)
