"""
SQLite's own checks of a file: ``main``, for a separate process.

The file is not trusted. A page that makes SQLite crash, loop or use all memory ends this child,
not a worker of the site. The answer is one JSON object, the verdict.

The file is opened for writing because SQLite does not check CHECK constraints on a read-only
connection. Only two changes are made: the header's mark of WAL mode is removed, and rows are
cleared. Both happen first, so that what is checked is what will be kept.

Sources: https://www.sqlite.org/security.html (defence against hostile files),
https://www.sqlite.org/pragma.html#pragma_integrity_check
"""

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import asdict

from backups.processes import limits
from backups.processes.lifeline import end_with_parent
from backups.processes.spawn import answering, leave
from backups.sqlite.checking.findings import is_of_the_disk, sentence
from backups.sqlite.checking.inspection import inspect
from backups.sqlite.checking.messages import Question, Verdict, lacks_wanted, load_setup
from backups.sqlite.checking.partners import Partners
from backups.sqlite.checking.sandbox import confine, limit_process

MOST_BYTES = 16 * 1024**2  # of a verdict, since the caller holds it in memory


def _answer(asked: Question, partners: Partners) -> str:
    if lacks_wanted(asked):
        return json.dumps(asdict(Verdict(is_in_vain=True)))
    try:
        return _check(asked, partners)
    except (MemoryError, sqlite3.Error, OSError, ValueError) as error:
        return json.dumps(asdict(_failure(error)))


def _check(asked: Question, partners: Partners) -> str:
    size, with_site = os.stat(asked.path).st_size, bool(asked.setup)
    limit_process(file_bytes=size, seconds=asked.seconds, memory_bytes=asked.memory_bytes)
    confine(asked.path, functions=asked.functions, with_site=with_site)
    answer = json.dumps(asdict(inspect(asked, partners)))
    if len(answer) > MOST_BYTES:
        raise ValueError("its schema or its list of migrations is too long")
    return answer


def _failure(error: Exception) -> Verdict:
    """The verdict on a file whose check raised this error."""
    if isinstance(error, MemoryError):
        return Verdict(is_out_of_memory=True, memory_bytes=limits.address_space())
    if isinstance(error, OSError):
        return Verdict(unread=sentence(error.strerror))
    if is_of_the_disk(getattr(error, "sqlite_errorcode", 0)):
        return Verdict(unread=sentence(error))
    return Verdict(damage=[sentence(f"SQLite can't read it: {error}")])


def main(question: str) -> None:
    """Answer with the verdict: both it and the ``Question`` are one JSON object."""
    asked = Question(**json.loads(question))
    end_with_parent()
    with closing(Partners(asked)) as partners, answering() as answer:
        try:
            asked = load_setup(asked)
        except (Exception, SystemExit) as error:  # the site's code may raise anything
            failed = Verdict(setup_failed=sentence(f"{type(error).__name__}: {error}"))
            answer.write(json.dumps(asdict(failed)))
        else:
            answer.write(_answer(asked, partners))
    if asked.setup:
        leave()
