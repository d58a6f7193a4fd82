"""
The rows of a store, in one of three shapes.

SQLite makes them: each column is an expression over the number of the row. That takes seconds; the
API would take hours.
"""

import random
import sqlite3
import string
from collections.abc import Sequence

EPOCH = 1_704_067_200  # 2024-01-01, when the first task was made
SECONDS_A_TASK = 420
TEXT_LETTERS = 16 * 1024**2  # of text that the notes are cut from
VOCABULARY = 20_000  # words
TASKS_A_STEP = 4_000
BYTES_A_TASK = 8_000  # with all its rows; an estimate, it is about 6,000
AUDITS_A_TASK = 5
SESSIONS = 200
TAGS = 50
CACHE_KIB = 512 * 1024  # so that an index that grows in random order stays in memory
PRIME = 2**31 - 1
STATUSES = ("PENDING", "IN_PROGRESS", "COMPLETED", "CANCELED")
OPERATIONS = ("create_task", "update_task", "start_task", "complete_task", "update_note")

TASKDOG = "taskdog"
AGED = "aged"
ONE_INDEX = "one index"
NEEDED = "idx_audit_resource"  # taskdog looks for rows about the database at each upload
SHAPES = {
    TASKDOG: "as after an import: in the audit log, the rows of a task are next to each other",
    AGED: "as after long use: each row of the audit log is about any task that was there by then",
    ONE_INDEX: "as for taskdog, but each table has one index",
}


def fill(connection: sqlite3.Connection, size: int, shape: str = TASKDOG) -> None:
    """Add rows until the database has ``size`` bytes. No one else may have it open."""
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA journal_mode=OFF")
    connection.execute("PRAGMA ignore_check_constraints=ON")  # every row satisfies them
    connection.execute(f"PRAGMA cache_size={-CACHE_KIB}")
    if shape == ONE_INDEX:
        _drop_indexes(connection)
    text = _text()
    _insert(connection, "tags", range(1, TAGS + 1), _TAG)
    _insert(connection, "django_session", range(1, SESSIONS + 1), _SESSION)
    first = 1
    while (missing := size - _bytes(connection)) > 0:
        last = first + min(TASKS_A_STEP, missing // BYTES_A_TASK)
        tasks = range(first, last + 1)
        audits = range(1 + (first - 1) * AUDITS_A_TASK, last * AUDITS_A_TASK + 1)
        connection.execute("BEGIN")
        _insert(connection, "tasks", tasks, _TASK, text)
        _insert(connection, "notes", tasks, _NOTE, text)
        for task_tag in _TASK_TAGS:
            _insert(connection, "task_tags", tasks, task_tag)
        _insert(connection, "audit_logs", audits, _audit(is_aged=shape == AGED), text)
        connection.execute("COMMIT")
        first = last + 1
    connection.execute("PRAGMA journal_mode=WAL")


def _drop_indexes(connection: sqlite3.Connection) -> None:
    """Leave each table one index, and those that its constraints need."""
    order = f"ORDER BY sql IS NOT NULL, name <> '{NEEDED}', name"
    numbered = f"SELECT name, sql, row_number() OVER (PARTITION BY tbl_name {order})"
    droppable = connection.execute(
        f"SELECT name FROM ({numbered} AS number FROM sqlite_schema WHERE type = 'index')"  # noqa: S608
        " WHERE number > 1 AND sql IS NOT NULL"
    ).fetchall()
    for (name,) in droppable:
        connection.execute(f'DROP INDEX "{name}"')


def _bytes(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(page_size)


def _text() -> bytes:
    """Words, few of them frequent, as in a language: they compress like prose."""
    chance = random.Random(VOCABULARY)  # noqa: S311 - the same text each time
    words = [
        "".join(chance.choices(string.ascii_lowercase, k=chance.randint(2, 12)))
        for _ in range(VOCABULARY)
    ]
    weights = [1 / rank for rank in range(1, VOCABULARY + 1)]
    return " ".join(chance.choices(words, weights, k=TEXT_LETTERS // 8)).encode()


def _insert(
    connection: sqlite3.Connection,
    table: str,
    numbers: range,
    columns: dict[str, str],
    text: bytes = b"",
) -> None:
    """Add a row for each number. A column is an expression over ``n`` and ``:text``."""
    connection.execute(
        f"WITH RECURSIVE numbers (n) AS (VALUES (:first)"  # noqa: S608 - all of it is in here
        f" UNION ALL SELECT n + 1 FROM numbers WHERE n < :last)"
        f" INSERT INTO {table} ({', '.join(columns)})"
        f" SELECT {', '.join(columns.values())} FROM numbers",
        {"first": numbers[0], "last": numbers[-1], "text": text},
    )


def _chance(salt: int, below: int | str) -> str:
    """From 0 to below ``below``, as if random; the same for the same row and salt."""
    moved = f"(n + {salt * 1_000_003})"
    return f"({moved} * {moved} % {PRIME} * 48271 % {PRIME} % {below})"


def _one_of(words: Sequence[str], salt: int) -> str:
    cases = "".join(f" WHEN {at} THEN '{word}'" for at, word in enumerate(words))
    return f"CASE {_chance(salt, len(words))}{cases} END"


def _words(salt: int, least: int, most: int) -> str:
    start, length = _chance(salt, TEXT_LETTERS), _chance(-salt, most - least + 1)
    return f"trim(CAST(substr(:text, 1 + {start}, {least} + {length}) AS TEXT))"


def _moment(task: str) -> str:
    return f"datetime({EPOCH} + {SECONDS_A_TASK} * ({task}), 'unixepoch')"


def _audit(*, is_aged: bool) -> dict[str, str]:
    """Five rows for each task: about that task, or about any that is there by then."""
    newest = f"(1 + (n - 1) / {AUDITS_A_TASK})"
    name, other = _words(9, 20, 80), _words(10, 20, 80)

    def values(salt: int, name: str) -> str:
        return (
            f"""'{{"status": "' || {_one_of(STATUSES, salt)} || '", "name": "' || {name} || '"}}'"""
        )

    return {
        "timestamp": _moment(newest),
        "client_name": f"'client ' || {_chance(11, 20)}",
        "operation": _one_of(OPERATIONS, 12),
        "resource_type": "'task'",
        "resource_id": f"1 + {_chance(13, newest)}" if is_aged else newest,
        "resource_name": name,
        "old_values": values(14, name),
        "new_values": values(15, other),
        "success": f"{_chance(16, 100)} < 97",
    }


_TAG = {"name": "'tag ' || n", "created_at": _moment("n")}
_SESSION = {
    "session_key": "printf('%032d', n)",
    "session_data": f"printf('%0300d', {_chance(1, PRIME)})",
    "expire_date": _moment("0"),
}
_TASK = {
    "id": "n",
    "name": _words(2, 20, 80),
    "priority": f"1 + {_chance(3, 100)}",
    "status": _one_of(STATUSES, 4),
    "created_at": _moment("n"),
    "updated_at": _moment("n + 9"),
    "planned_start": _moment("n + 20"),
    "planned_end": _moment("n + 30"),
    "deadline": _moment("n + 100"),
    "estimated_duration": f"1 + {_chance(5, 40)}",
    "is_fixed": "0",
    "is_archived": f"{_chance(6, 10)} = 0",
}
_NOTE = {
    "task_id": "n",
    "content": _words(7, 200, 4_000),
    "created_at": _moment("n"),
    "updated_at": _moment("n + 9"),
}
_TASK_TAGS = [  # two different tags for each task
    {"task_id": "n", "tag_id": f"1 + {_chance(8, TAGS)}"},
    {"task_id": "n", "tag_id": f"1 + ({_chance(8, TAGS)} + 1 + {_chance(17, TAGS - 1)}) % {TAGS}"},
]
