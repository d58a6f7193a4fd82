"""
A store of the shape that a real site has: tasks, their notes, tags and audit log, with all of
their indexes, and some login sessions.

The rows are written with SQL and not through the API, which would take hours. The same size and
the same release give the same content.
"""

import json
import os
import random
import sqlite3
import string
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
EPOCH = datetime(2024, 1, 1)  # noqa: DTZ001 - tasks have local times
TEXT_LETTERS = 16 * 1024**2  # of text that the notes are cut from
VOCABULARY = 20_000  # words
TASKS_A_STEP = 2_000
AUDITS_A_TASK = 5
SESSIONS = 200
TAGS = 50
STATUSES = ("PENDING", "IN_PROGRESS", "COMPLETED", "CANCELED")
OPERATIONS = ("create_task", "update_task", "start_task", "complete_task", "update_note")


@dataclass(frozen=True)
class Store:
    """A data folder with a migrated database of about the size that was asked for, and a key."""

    data: Path
    key: str

    @property
    def database(self) -> Path:
        """The live database."""
        return self.data / "tasks.db"

    def manage(self, *arguments: str) -> str:
        """Run a management command of the site on it, and return what it printed."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=CHECKOUT,
            env=os.environ | {"TASKDOG_DATA_DIR": str(self.data)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout


def build_store(data: Path, size: int) -> Store:
    """
    Make a data folder whose database has ``size`` bytes, up to 5 MB more, and no WAL.

    :raises FileExistsError: there is something under that name.
    """
    data.mkdir(parents=True)
    store = Store(data, "")
    store.manage("migrate", "--verbosity", "0")
    key = store.manage("create_api_key", "benchmark").strip()
    with closing(sqlite3.connect(store.database, isolation_level=None)) as connection:
        fill(connection, size)
    return Store(data, key)


def fill(connection: sqlite3.Connection, size: int) -> None:
    """Add rows in steps until the database has that many bytes; then empty its WAL."""
    chance = random.Random(size)  # noqa: S311 - the same content each time
    connection.execute("PRAGMA synchronous=OFF")
    text = _text(chance)
    _add_tags_and_sessions(connection, chance)
    first = 1
    while _bytes(connection) < size:
        missing = size - _bytes(connection)
        step = min(TASKS_A_STEP, 1 + missing // 8_000)  # a task takes about 6,000 with all of it
        connection.execute("BEGIN")
        _add_tasks(connection, chance, text, range(first, first + step))
        connection.execute("COMMIT")
        first += step
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _bytes(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(page_size)


def _text(chance: random.Random) -> str:
    """Words as they are spread in a language: few are frequent. Compresses as prose does."""
    words = [
        "".join(chance.choices(string.ascii_lowercase, k=chance.randint(2, 12)))
        for _ in range(VOCABULARY)
    ]
    weights = [1 / rank for rank in range(1, VOCABULARY + 1)]
    return " ".join(chance.choices(words, weights, k=TEXT_LETTERS // 8))


def _add_tags_and_sessions(connection: sqlite3.Connection, chance: random.Random) -> None:
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO tags (name, created_at) VALUES (?, ?)",
        ((f"tag {number}", _moment(number)) for number in range(TAGS)),
    )
    connection.executemany(
        "INSERT INTO django_session (session_key, session_data, expire_date) VALUES (?, ?, ?)",
        ((f"{number:032}", chance.randbytes(150).hex(), _moment(0)) for number in range(SESSIONS)),
    )
    connection.execute("COMMIT")


def _add_tasks(
    connection: sqlite3.Connection, chance: random.Random, text: str, ids: range
) -> None:
    connection.executemany(
        "INSERT INTO tasks (id, name, priority, status, created_at, updated_at, planned_start,"
        " planned_end, deadline, estimated_duration, is_fixed, is_archived)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)",
        (_task(number, chance, text) for number in ids),
    )
    connection.executemany(
        "INSERT INTO notes (task_id, content, created_at, updated_at) VALUES (?, ?, ?, ?)",
        ((id_, _words(chance, text, 200, 4_000), _moment(id_), _moment(id_ + 9)) for id_ in ids),
    )
    connection.executemany(
        "INSERT INTO task_tags (task_id, tag_id) VALUES (?, ?)",
        ((id_, tag) for id_ in ids for tag in chance.sample(range(1, TAGS + 1), 2)),
    )
    connection.executemany(
        "INSERT INTO audit_logs (timestamp, client_name, operation, resource_type, resource_id,"
        " resource_name, old_values, new_values, success) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (audit for id_ in ids for audit in _audits(id_, chance, text)),
    )


def _task(number: int, chance: random.Random, text: str) -> tuple[object, ...]:
    start, end, deadline = (_moment(number + hours) for hours in (20, 30, 100))
    return (
        *(number, _words(chance, text, 20, 80), chance.randint(1, 100), chance.choice(STATUSES)),
        *(_moment(number), _moment(number + 9), start, end, deadline, chance.randint(1, 40)),
        chance.random() < 0.1,
    )


def _audits(id_: int, chance: random.Random, text: str) -> Iterator[tuple[object, ...]]:
    for number in range(AUDITS_A_TASK):
        name = _words(chance, text, 20, 80)
        yield (
            *(_moment(id_ + number), f"client {chance.randrange(20)}", chance.choice(OPERATIONS)),
            *("task", id_, name),
            json.dumps({"status": chance.choice(STATUSES), "name": name}),
            json.dumps({"status": chance.choice(STATUSES), "name": _words(chance, text, 20, 80)}),
            chance.random() < 0.97,
        )


def _words(chance: random.Random, text: str, least: int, most: int) -> str:
    length = chance.randint(least, most)
    start = chance.randrange(len(text) - length)
    return text[start : start + length].strip() or "nothing"


def _moment(hours: int) -> str:
    return (EPOCH + timedelta(minutes=7 * hours)).isoformat(" ")
