"""The texts of an export, compared with what taskdog-ui 0.29.0 itself made of the same tasks."""

from datetime import date, datetime
from pathlib import Path

import pytest

from taskdog.tasks.exports import DEFAULT_FIELDS, FIELDS, FORMATS, export
from taskdog.tasks.models import DailyAllocation, Note, Tag, Task, TaskDependency, TaskTag
from taskdog.tasks.selectors import stream_tasks

pytestmark = pytest.mark.django_db

EXPORTED = Path(__file__).with_name("exported")  # written by the exporters of taskdog-ui 0.29.0
CREATED = datetime.fromisoformat("2026-01-02T03:04:05.678901")
UPDATED = datetime.fromisoformat("2026-01-02T03:04:05")
ALL_FIELDS = [
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
    "estimated_duration",
    "actual_duration_hours",
    "is_fixed",
    "is_archived",
    "is_finished",
    "has_notes",
    "depends_on",
    "tags",
    "daily_allocations",
]


@pytest.fixture
def tasks() -> None:
    """A task with as little as there can be, and one with as much; and one that is archived."""
    times = {"created_at": CREATED, "updated_at": UPDATED}
    Task.objects.create(id=1, name='Größe "x", | y\nz', **times)
    Task.objects.create(id=2, name="archived", is_archived=True, **times)
    rich = Task.objects.create(
        id=3,
        name="A-1T2:3",  # what looks like a time to an export
        status="COMPLETED",
        priority=7,
        deadline=datetime.fromisoformat("2026-03-01T18:00:00"),
        planned_start=datetime.fromisoformat("2026-03-02T09:00:00"),
        planned_end=datetime.fromisoformat("2026-03-05T18:00:00"),
        estimated_duration=8.0,
        actual_duration=1.5,
        is_fixed=True,
        **times,
    )
    Note.objects.create(task=rich, content="some")
    for other in (1, 2):
        TaskDependency.objects.create(task=rich, depends_on_id=other)
    for name in ("it's", "b c"):
        TaskTag.objects.create(task=rich, tag=Tag.objects.create(name=name))
    for day in (2, 3, 4, 5):
        DailyAllocation.objects.create(task=rich, date=date(2026, 3, day), hours=2.0)


def exported(name: str, format_: str) -> bytes:
    return (EXPORTED / f"{name}.{format_}").read_bytes()


@pytest.mark.usefixtures("tasks")
@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    ("name", "fields"),
    [("default", DEFAULT_FIELDS), ("all", ALL_FIELDS), ("few", ["id", "id", "tags"])],
)
def test_an_export_is_what_the_command_line_makes(
    name: str, fields: list[str], format_: str
) -> None:
    text = "".join(export(stream_tasks(), format_=format_, fields=fields))
    assert text.encode() == exported(name, format_)


@pytest.mark.parametrize("format_", FORMATS)
def test_an_export_of_nothing_is_what_the_command_line_makes(format_: str) -> None:
    text = "".join(export(stream_tasks(), format_=format_, fields=DEFAULT_FIELDS))
    assert text.encode() == exported("none", format_)


def test_every_field_of_the_command_line_is_there() -> None:
    assert set(FIELDS) == set(ALL_FIELDS)


def test_a_task_is_fetched_only_when_it_is_wanted() -> None:
    Task.objects.bulk_create(Task(name=f"task {number}") for number in range(1200))
    found = stream_tasks()
    pieces = export(found, format_="csv", fields=["id"])
    next(pieces)
    first = next(pieces)
    Task.objects.filter(name="task 1199").delete()  # in the last batch, which is not read yet
    rest = list(pieces)
    assert len([first, *rest]) == 1199


def test_a_stream_finds_what_a_list_does() -> None:
    for number in range(1100):
        Task.objects.create(
            name=str(number),
            is_archived=number % 3 == 0,
            status="COMPLETED" if number % 2 else "PENDING",
        )
    found = list(stream_tasks(status="completed", include_archived=True))
    assert [task.name for task in found] == [str(number) for number in range(1, 1100, 2)]
    assert len(list(stream_tasks())) == 1100 - 367
