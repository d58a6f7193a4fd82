"""Their rows as ours: a stream of new rows for each of our tables, ids and times kept."""

import os
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path

from taskdog.audit.models import AuditLog
from taskdog.imports.cells import Cells, Changes
from taskdog.imports.exceptions import UnusableSourceError
from taskdog.imports.plain_files import open_plain
from taskdog.imports.reader import MOST_CHARACTERS
from taskdog.imports.source import Source
from taskdog.tasks.models import Note, Tag, Task, TaskStatus, TaskTag

NOTES = "notes"  # the folder
TASK_COLUMNS = (
    "id",
    "name",
    "priority",
    "status",
    "created_at",
    "updated_at",
    "planned_start",
    "planned_end",
    "deadline",
    "actual_start",
    "actual_end",
    "actual_duration",
    "estimated_duration",
    "is_fixed",
    "is_archived",
)
TAG_COLUMNS = ("id", "name", "created_at")
LINK_COLUMNS = ("task_id", "tag_id")
NOTE_COLUMNS = ("task_id", "content", "created_at", "updated_at")
AUDIT_COLUMNS = (
    "id",
    "timestamp",
    "client_name",
    "operation",
    "resource_type",
    "resource_id",
    "resource_name",
    "old_values",
    "new_values",
    "success",
    "error_message",
)


def tasks(source: Source, changes: Changes, *, now: datetime) -> Iterator[Task]:
    """
    Every task.

    :param now: stands for a time of creation that is not there; local.
    :raises UnusableSourceError: an id is not above zero, which no task can have here.
    """
    for row in source.rows("tasks", TASK_COLUMNS, order="id"):
        cells = Cells(row, f"task {row['id']}", changes)
        if cells.number("id") <= 0:
            raise UnusableSourceError(f"There is a task with the id {row['id']}: none can have it.")
        created_at = cells.moment_or("created_at", now)
        yield Task(
            id=cells.number("id"),
            name=_task_name(cells),
            priority=cells.positive("priority"),
            status=_status(cells),
            created_at=created_at,
            updated_at=cells.moment_or("updated_at", created_at),
            planned_start=cells.moment("planned_start"),
            planned_end=cells.moment("planned_end"),
            deadline=cells.moment("deadline"),
            actual_start=cells.moment("actual_start"),
            actual_end=cells.moment("actual_end"),
            actual_duration=cells.hours("actual_duration"),
            estimated_duration=cells.hours("estimated_duration"),
            is_fixed=cells.flag("is_fixed"),
            is_archived=cells.flag("is_archived"),
        )


def tags(source: Source, changes: Changes, *, now: datetime) -> Iterator[Tag]:
    """Every tag, those that no task has included."""
    for row in source.rows("tags", TAG_COLUMNS, order="id"):
        cells = Cells(row, f"tag {row['id']}", changes)
        yield Tag(
            id=cells.number("id"),
            name=cells.text("name"),
            created_at=cells.moment_or("created_at", now),
        )


def task_tags(
    source: Source, changes: Changes, *, task_ids: Collection[int], tag_ids: Collection[int]
) -> Iterator[TaskTag]:
    """Every tag on a task, of each task in the order in which their server shows them."""
    for row in source.rows("task_tags", LINK_COLUMNS, order="task_id, tag_id"):
        cells = Cells(row, f"tag {row['tag_id']} on task {row['task_id']}", changes)
        task_id, tag_id = cells.number("task_id"), cells.number("tag_id")
        if task_id in task_ids and tag_id in tag_ids:
            yield TaskTag(task_id=task_id, tag_id=tag_id)
        else:
            cells.say("dropped: one of the two does not exist")


def notes(
    source: Source, changes: Changes, *, task_ids: Collection[int], now: datetime
) -> Iterator[Note]:
    """Every note: from its table, or before there was one, from the files beside the database."""
    if "notes" not in source.tables:
        yield from _notes_in_files(source, changes, task_ids)
    for row in source.rows("notes", NOTE_COLUMNS, order="task_id"):
        cells = Cells(row, f"note of task {row['task_id']}", changes)
        if cells.number("task_id") not in task_ids:
            cells.say("dropped: the task does not exist")
            continue
        created_at = cells.moment_or("created_at", now)
        yield Note(
            task_id=cells.number("task_id"),
            content=cells.text("content"),
            created_at=created_at,
            updated_at=cells.moment_or("updated_at", created_at),
        )


def audit_logs(source: Source, changes: Changes, *, now: datetime) -> Iterator[AuditLog]:
    """Every row of the audit log."""
    for row in source.rows("audit_logs", AUDIT_COLUMNS, order="id"):
        cells = Cells(row, f"audit log {row['id']}", changes)
        yield AuditLog(
            id=cells.number("id"),
            timestamp=cells.moment_or("timestamp", now),
            client_name=cells.text_or_none("client_name"),
            operation=cells.text("operation"),
            resource_type=cells.text("resource_type"),
            resource_id=None if row["resource_id"] is None else cells.number("resource_id"),
            resource_name=cells.text_or_none("resource_name"),
            old_values=cells.record("old_values"),
            new_values=cells.record("new_values"),
            success=cells.flag("success"),
            error_message=cells.text_or_none("error_message"),
        )


def _task_name(cells: Cells) -> str:
    name = cells.text("name")
    if name.strip(" "):  # what our CHECK takes for blank
        return name
    cells.say("its name is blank; it is '(no name)' now")
    return "(no name)"


def _status(cells: Cells) -> str:
    status = cells.text("status")
    if status in TaskStatus.values:
        return status
    cells.say(f"its status is {status!r}, which does not exist; it is PENDING now")
    return TaskStatus.PENDING


def _notes_in_files(source: Source, changes: Changes, task_ids: Collection[int]) -> Iterator[Note]:
    folder = source.folder / NOTES
    if folder.is_symlink() and not folder.resolve().is_relative_to(source.folder):
        raise UnusableSourceError(
            f"{folder} is a symbolic link out of its folder, to {folder.resolve()}. Put a copy of"
            " that there instead."
        )
    for path in sorted(folder.glob("*.md")):
        if not path.stem.isdecimal() or int(path.stem) not in task_ids:
            changes.append(f"{path}: dropped, it is the note of no task")
            continue
        content, written_at = _read_text(path)
        yield Note(
            task_id=int(path.stem), content=content, created_at=written_at, updated_at=written_at
        )


def _read_text(path: Path) -> tuple[str, datetime]:
    """The text of a file, line ends as they are, and when it was written; local, as all times."""
    with open_plain(path, most_bytes=MOST_CHARACTERS) as content:
        written_at = datetime.fromtimestamp(os.fstat(content.fileno()).st_mtime)  # noqa: DTZ006
        try:
            return content.read().decode(), written_at
        except UnicodeDecodeError as error:
            raise UnusableSourceError(f"{path} is not text in UTF-8: {error}") from error
