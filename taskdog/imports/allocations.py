"""The days that are set aside for their tasks, from a table, from JSON, or from both."""

from collections.abc import Collection, Iterator
from datetime import date, datetime

from taskdog.imports.cells import Cells, Changes
from taskdog.imports.source import Source
from taskdog.tasks.models import DailyAllocation

ALLOCATION_COLUMNS = ("id", "task_id", "date", "hours", "created_at")


def allocations(
    source: Source, changes: Changes, *, task_ids: Collection[int], now: datetime
) -> Iterator[DailyAllocation]:
    """The hours of every day that is set aside for a task, from their table."""
    for row in source.rows("daily_allocations", ALLOCATION_COLUMNS, order="id"):
        cells = Cells(row, f"allocation {row['id']} of task {row['task_id']}", changes)
        day, hours = cells.day("date"), cells.hours("hours")
        if cells.number("task_id") not in task_ids or day is None or hours is None:
            cells.say("dropped: it lacks its task, its date or its hours")
            continue
        yield DailyAllocation(
            id=cells.number("id"),
            task_id=cells.number("task_id"),
            date=day,
            hours=hours,
            created_at=cells.moment_or("created_at", now),
        )


def allocations_in_json(
    source: Source, changes: Changes, *, known: Collection[tuple[int, date]], now: datetime
) -> Iterator[DailyAllocation]:
    """
    The same from ``tasks.daily_allocations``, where they were before revision 006.

    Where both have a day, the table's counts, as for that server itself.

    :param known: task and date of those that came from the table.
    """
    columns = ("id", "daily_allocations", "updated_at")
    if "daily_allocations" not in source.tables["tasks"]:
        return
    for row in source.rows("tasks", columns, order="id"):
        cells = Cells(row, f"daily_allocations of task {row['id']}", changes)
        created_at = Cells(row, "", []).moment("updated_at") or now
        for day, hours in _days(cells).items():
            if (cells.number("id"), day) not in known:
                yield DailyAllocation(
                    task_id=cells.number("id"), date=day, hours=hours, created_at=created_at
                )


def _days(cells: Cells) -> dict[date, float]:
    """The hours by day that a JSON object has."""
    found = cells.document("daily_allocations") or {}
    if not isinstance(found, dict):
        cells.say("dropped: it is not a JSON object")
        return {}
    days = {}
    for day, hours in found.items():
        one = Cells({"date": day, "hours": hours}, "", [])
        given = one.day("date"), one.hours("hours")
        if given[0] is None or given[1] is None:
            cells.say(f"{day!r}: {hours!r} dropped: it is not a date with hours above zero")
        else:
            days[given[0]] = given[1]
    return days
