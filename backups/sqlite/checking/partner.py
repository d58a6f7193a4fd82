"""The check of a large file by two processes: this one, and a partner that it starts."""

import contextlib
import json
import os
import subprocess
from dataclasses import asdict, replace

from backups.exceptions import ChildNotStartedError
from backups.processes.spawn import command, environment, has_started
from backups.sqlite.checking.messages import Question, tell_settled
from backups.sqlite.checking.pragmas import Findings, check_whole, find_parts
from backups.sqlite.checking.sandbox import Sandbox
from backups.sqlite.checking.shares import check_share, hand_out

SHARED_FROM = 64 * 1024**2  # 64 MiB: below, a second process costs more than it saves


class Partner:
    """A second process that waits for parts to check; a small file gets none."""

    def __init__(self, question: Question) -> None:
        """Start it now, so that it is ready once the file will not be modified again."""
        self._question = question
        is_large = os.path.getsize(question.path) >= SHARED_FROM
        self.is_there = is_large and not question.is_ours and _cores() > 1
        if self.is_there:
            self._parts, self._hand_out = os.pipe()
            try:
                self._process = self._start()
            except (OSError, ChildNotStartedError):  # then this process does it all
                self._close_pipe()
                self.is_there = False

    def check(self, sandbox: Sandbox, *, changed: bool) -> Findings:
        """
        Check the whole file, with the partner if there is one. Returns what was found.

        Parts that the partner does not report as done are checked here.

        :param changed: whether this check has changed the file, for ``tell_settled``.
        :raises sqlite3.Error: SQLite can't go on.
        """
        if not self.is_there:
            tell_settled(self._question.settled, changed=changed)
            return check_whole(sandbox, self._question)
        parts = find_parts(sandbox.connection)
        hand_out(parts, self._hand_out, changed=changed)
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
        if not self.is_there:
            return
        self._process.kill()
        self._process.communicate()
        self._close_pipe()

    def _start(self) -> "subprocess.Popen[bytes]":
        question = replace(self._question, clear=(), account=None)
        words = json.dumps(asdict(question))
        return subprocess.Popen(
            command("backups.sqlite.checking.partner_child", words, with_site=bool(question.setup)),
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
        """What the partner has done; nothing if it gives no valid answer in time."""
        assert self._process.stdout is not None
        if has_started(self._process):
            with contextlib.suppress(ValueError, TypeError):
                return Findings(**json.loads(self._process.stdout.read()))
        return Findings()


def _cores() -> int:
    """How many cores this process may use."""
    with contextlib.suppress(OSError, AttributeError):  # not everywhere, nor under every filter
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
