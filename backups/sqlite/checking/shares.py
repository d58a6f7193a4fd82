"""
How two processes share the parts of a check: each takes the next number from a pipe.

The first process that finds none left tells the caller, which then has a core to hash the file.
"""

import os
import sqlite3
import struct
from collections.abc import Iterator

from backups.sqlite.checking.messages import Question, tell_settled
from backups.sqlite.checking.pragmas import REFERENCES, Findings
from backups.sqlite.checking.sandbox import Sandbox

_NUMBER = struct.Struct("=I")  # of a part; a pipe gives four bytes to one reader at a time


def hand_out(parts: list[str], pipe: int, *, changed: bool) -> None:
    """
    Write the number of each part to the pipe, then an end mark: the count of parts, plus one if
    the file is changed.
    """
    numbers = [*range(len(parts)), len(parts) + changed]
    os.write(pipe, b"".join(map(_NUMBER.pack, numbers)))


def check_share(
    sandbox: Sandbox, question: Question, parts: list[str], handed_out: int
) -> Findings:
    """Check parts until none is left or enough is found."""
    share = Findings()
    for number in _numbers(handed_out):
        if number >= len(parts):
            tell_settled(question.settled, changed=number > len(parts))
            break
        try:
            share.check(number, parts[number], sandbox, question.functions)
        except sqlite3.Error:
            if parts[number] != REFERENCES:  # damage can fail it; the other process may find that
                raise
        if share.is_enough:
            break
    return share


def _numbers(handed_out: int) -> Iterator[int]:
    while raw := os.read(handed_out, _NUMBER.size):
        yield _NUMBER.unpack(raw)[0]
