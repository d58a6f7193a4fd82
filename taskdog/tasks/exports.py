"""
Tasks as a text to read or to take elsewhere: JSON, CSV or a Markdown table.

Byte for byte what ``taskdog export`` makes of the same tasks, so that a script may use either.
A text is made a task at a time: it takes no more memory for a hundred thousand tasks than for one.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from taskdog.tasks.models import Task
from taskdog.tasks.serializers import TaskSerializer

FIELDS = tuple(sorted(TaskSerializer.Meta.fields))
DEFAULT_FIELDS = (
    "id",
    "name",
    "priority",
    "status",
    "deadline",
    "planned_start",
    "planned_end",
    "estimated_duration",
    "actual_start",
    "actual_end",
    "created_at",
)
MOST_DAYS = 3  # of the allocations in a cell of a table

Row = dict[str, Any]


def export(tasks: Iterable[Task], *, format_: str, fields: Sequence[str]) -> Iterator[str]:
    """
    Make the text, in pieces. It has no line break at its end, but for CSV.

    :param tasks: with their details, in the order that they are to have.
    :param format_: a key of ``FORMATS``.
    :param fields: the columns, each one of ``FIELDS``.
    """
    serializer = TaskSerializer()
    rows = (serializer.to_representation(task) for task in tasks)
    return FORMATS[format_](({name: row[name] for name in fields} for row in rows), fields)


def _json(rows: Iterable[Row], fields: Sequence[str]) -> Iterator[str]:
    """An array with a row's object in it, four spaces deep."""
    before = "["
    for row in rows:
        text = json.dumps(row, indent=4, ensure_ascii=False)
        yield before + "\n    " + text.replace("\n", "\n    ")  # within JSON's strings is none
        before = ","
    yield "[]" if before == "[" else "\n]"


def _csv(rows: Iterable[Row], fields: Sequence[str]) -> Iterator[str]:
    """Lines that end with CR LF (RFC 4180); lists and mappings are as Python writes them."""
    line = _Line()
    writer = csv.writer(line)
    writer.writerow(fields)
    yield line.text
    for row in rows:
        writer.writerow(row[name] for name in fields)
        yield line.text


def _markdown(rows: Iterable[Row], fields: Sequence[str]) -> Iterator[str]:
    """A table. A ``|`` in a name is not escaped, as the command line does not either."""
    yield _cells(name.replace("_", " ").title() for name in fields)
    yield "\n" + _cells("--" for _ in fields)
    for row in rows:
        yield "\n" + _cells(_cell(row[name]) for name in fields)


FORMATS: Mapping[str, Callable[[Iterable[Row], Sequence[str]], Iterator[str]]] = {
    "json": _json,
    "csv": _csv,
    "markdown": _markdown,
}


class _Line:
    """What a csv writer writes to: it keeps the last line."""

    text = ""

    def write(self, text: str) -> None:
        self.text = text


def _cells(texts: Iterable[str]) -> str:
    return f"|{'|'.join(texts)}|"


def _cell(value: Any) -> str:
    if value is None or value in ([], {}):
        return "-"
    if isinstance(value, bool):
        return "✓" if value else "✗"
    if isinstance(value, dict):
        return ", ".join(f"{day}: {hours}" for day, hours in list(value.items())[:MOST_DAYS])
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return _without_t(value) if isinstance(value, str) else str(value)


def _without_t(text: str) -> str:
    """A time with a space in it. Any text that looks like one is treated so, names too."""
    before, t, after = text.partition("T")
    looks_like_a_time = t and "T" not in after and "-" in before and ":" in after
    return f"{before} {after}" if looks_like_a_time else text
