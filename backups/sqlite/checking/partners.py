"""
The partners of the first process: forks that share the quicker check of a large file with it.

Each process takes the number of its next part from a pipe, until none is left. The first one that
finds none left reports that: a core is now free for the caller to hash the file. Partners report
the names of the parts that they have done, and the first process does all others. So nothing is
left out if a partner dies, or if an error made it find other parts than the first process.
"""

import contextlib
import json
import os
import select
import struct
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from backups.processes.forks import Fork
from backups.sqlite.checking.findings import sentence
from backups.sqlite.checking.messages import Question, load_setup, tell_settled
from backups.sqlite.checking.parts import UNDIVIDED, Part, find_parts, run_part
from backups.sqlite.checking.sandbox import SPARE_FILES, Sandbox, confine, limit_process

CACHES = 24 * 1024**2  # bytes, for all processes together: at best a whole index stays in memory
LEAST_MEMORY = 32 * 1024**2  # bytes for each partner: with a third of it, one ends without answer
MOST_WITH_SITE = 2  # processes, if each loads the site's code, which can take 100 MB
_NUMBER = struct.Struct("=I")  # of a part; a pipe gives four bytes to one reader at a time
_ENDS = (2**32 - 2, 2**32 - 1)  # after the last part; the second if the check changed the file


@dataclass
class Share:
    """The names of the parts that one process has done, and its doubts."""

    done: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def take(self, part: Part, sandbox: Sandbox) -> None:
        """
        Do one part, unless there is a doubt already: then the whole file gets integrity_check.

        :raises sqlite3.Error: SQLite can't go on.
        """
        if not self.doubts:
            self.doubts += filter(None, [run_part(part, sandbox)])
            self.done.append(part.name)


class Partners:
    """The partners for the check of one file; none for a small file."""

    def __init__(self, question: Question) -> None:
        """
        Start them, so that they are ready once this check will not modify the file again.

        Call this before this process opens the file, and before it starts a thread.
        """
        self._question = question
        self.is_wanted = _is_large(question) and not (question.is_ours or question.as_it_was)
        self.by_sqlite: list[str] = []  # tables that get integrity_check instead of joins
        self._forks: list[Fork] = []
        if self.is_wanted:
            self._parts, self._hand_out = os.pipe()
            try:
                for _ in range(1, _processes(question)):
                    work = partial(_share, question, self._parts)
                    self._forks.append(Fork(work, close=(self._hand_out,)))
            except OSError:  # the system starts no more, so we use those that there are
                for fork in self._forks[-SPARE_FILES:]:  # leave descriptors to open the file
                    fork.end()
                del self._forks[-SPARE_FILES:]

    def find_doubts(self, sandbox: Sandbox, *, changed: bool) -> list[str]:
        """
        Run the quicker check together, once. Returns no doubts only if the file is whole.

        :param changed: whether this check has changed the file, for ``tell_settled``.
        :raises sqlite3.Error: SQLite can't go on.
        """
        parts = find_parts(sandbox.connection, self._question.functions)
        self.by_sqlite = sorted(sentence(part.table) for part in parts if part.table)
        numbers = [*range(len(parts)), _ENDS[changed]]
        os.write(self._hand_out, b"".join(map(_NUMBER.pack, numbers)))
        os.close(self._hand_out)
        self._hand_out = -1
        share = _take_share(sandbox, self._question, parts, self._parts)
        names, waiting = {part.name for part in parts}, list(self._forks)
        while waiting and not share.doubts and names.difference(share.done):
            for fork in _ended(waiting):
                waiting.remove(fork)
                _add(share, fork.answer())
        for part in parts:
            if part.name not in share.done:
                share.take(part, sandbox)
        return share.doubts if parts else [UNDIVIDED]

    def close(self) -> None:
        """End them all."""
        for fork in self._forks:
            fork.end()
        if self.is_wanted:
            for descriptor in {self._parts, self._hand_out} - {-1}:
                os.close(descriptor)


def _is_large(question: Question) -> bool:
    with contextlib.suppress(OSError):  # the file is gone, which the check reports
        return os.path.getsize(question.path) >= question.shared_from
    return False


def cache_bytes(question: Question) -> int:
    """How much of the file SQLite may cache in each process of the quicker check."""
    return CACHES // _processes(question)


def _processes(question: Question) -> int:
    """How many processes share the quicker check, the first included."""
    most = MOST_WITH_SITE if question.setup else question.processes
    return min(most, question.processes, 1 + question.memory_bytes // LEAST_MEMORY)


def _ended(forks: list[Fork]) -> list[Fork]:
    """Wait until at least one has answered or ended. One without a part may never do so."""
    poll = select.poll()
    for fork in forks:
        poll.register(fork, select.POLLIN)
    ready = {descriptor for descriptor, _ in poll.poll()}
    return [fork for fork in forks if fork.fileno() in ready]


def _take_share(sandbox: Sandbox, question: Question, parts: list[Part], handed_out: int) -> Share:
    """Do parts until none is left. After a doubt, take the rest, so that no process does it."""
    share = Share()
    while raw := os.read(handed_out, _NUMBER.size):
        (number,) = _NUMBER.unpack(raw)
        if number in _ENDS:
            tell_settled(question.settled, changed=bool(_ENDS.index(number)))
            break
        if number < len(parts):
            share.take(parts[number], sandbox)
    return share


def _add(share: Share, answer: bytes) -> None:
    with contextlib.suppress(ValueError, TypeError):  # it died, or SQLite could not go on
        other = Share(**json.loads(answer))
        share.done += other.done
        share.doubts += other.doubts


def _share(question: Question, handed_out: int) -> bytes:
    """In a partner: do a share. Returns it as JSON; nothing if no part came."""
    if not _is_handed_out(handed_out):
        return b""
    question = load_setup(question)
    others = max(1, _processes(question) - 1)
    limit_process(
        file_bytes=os.path.getsize(question.path),
        seconds=question.seconds,
        memory_bytes=question.memory_bytes // others,  # together as much as the first process
    )
    confine(question.path, functions=question.functions, with_site=bool(question.setup))
    path = Path(question.path)
    sandbox = Sandbox(path, seconds=question.seconds, cache_bytes=cache_bytes(question))
    if question.setup:
        sandbox.bring_functions(question.functions)
    parts = find_parts(sandbox.connection, question.functions)
    return json.dumps(asdict(_take_share(sandbox, question, parts, handed_out))).encode()


def _is_handed_out(handed_out: int) -> bool:
    """
    Wait until there is a part: from then on the file does not change, and the first process has
    loaded the site's code, so it already has any lock that this code takes. False if there is none:
    then this process must not open the file.
    """
    poll = select.poll()
    poll.register(handed_out, select.POLLIN)
    return any(event & select.POLLIN for _, event in poll.poll())
