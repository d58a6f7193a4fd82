"""The task itself."""

from typing import ClassVar, Self

from django.db import models
from django.db.models.functions import Length, Trim
from django.db.models.lookups import GreaterThan
from django.utils import timezone
from django.utils.functional import cached_property

from taskdog.tasks.models.note import Note

MAX_NAME_LENGTH = 255
SECONDS_PER_HOUR = 3600


class TaskStatus(models.TextChoices):
    """Where a task is in its life."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"


FINISHED = (TaskStatus.COMPLETED, TaskStatus.CANCELED)


class TaskQuerySet(models.QuerySet["Task"]):
    """Ways to fetch tasks."""

    def with_notes(self) -> Self:
        """Say for each task whether it has a note."""
        written = Note.objects.filter(task=models.OuterRef("pk")).exclude(content="")
        return self.annotate(has_notes=models.Exists(written))


class Task(models.Model):
    """Something to do. ``actual_duration`` and ``estimated_duration`` are hours."""

    name = models.CharField(max_length=MAX_NAME_LENGTH)
    priority = models.BigIntegerField(null=True)  # the higher, the more urgent
    status = models.CharField(max_length=50, choices=TaskStatus.choices, default=TaskStatus.PENDING)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    planned_start = models.DateTimeField(null=True)
    planned_end = models.DateTimeField(null=True)
    deadline = models.DateTimeField(null=True)
    actual_start = models.DateTimeField(null=True)
    actual_end = models.DateTimeField(null=True)
    actual_duration = models.FloatField(null=True)
    estimated_duration = models.FloatField(null=True)
    is_fixed = models.BooleanField(default=False)
    is_archived = models.BooleanField(default=False)

    objects: ClassVar[models.Manager["Task"]] = TaskQuerySet.as_manager()

    class Meta:
        db_table = "tasks"
        indexes = (
            models.Index(fields=["status"], name="idx_status"),
            models.Index(fields=["is_archived"], name="idx_is_archived"),
            models.Index(fields=["deadline"], name="idx_deadline"),
            models.Index(fields=["planned_start"], name="idx_planned_start"),
            models.Index(fields=["priority"], name="idx_priority"),
        )
        constraints = (
            models.CheckConstraint(
                condition=GreaterThan(Length(Trim("name")), 0), name="ck_tasks_name_not_blank"
            ),
            models.CheckConstraint(
                condition=models.Q(priority=None) | models.Q(priority__gt=0),
                name="ck_tasks_priority_positive",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=TaskStatus.values), name="ck_tasks_status_known"
            ),
            models.CheckConstraint(
                condition=models.Q(actual_duration=None) | models.Q(actual_duration__gt=0),
                name="ck_tasks_actual_duration_positive",
            ),
            models.CheckConstraint(
                condition=models.Q(estimated_duration=None) | models.Q(estimated_duration__gt=0),
                name="ck_tasks_estimated_duration_positive",
            ),
        )

    def __str__(self) -> str:
        return self.name

    # What hangs on it. Each is asked for once; a list of tasks sets them for all its tasks.

    @cached_property
    def depends_on_ids(self) -> list[int]:
        """The ids of the tasks that it waits for, in the order in which they were added."""
        return list(self.dependencies.values_list("depends_on_id", flat=True))

    @cached_property
    def tag_names(self) -> list[str]:
        """Its tags in the order in which they were given."""
        return list(self.tag_links.values_list("tag__name", flat=True))

    @cached_property
    def allocated_hours(self) -> dict[str, float]:
        """The hours of each day that is set aside for it, by ISO date."""
        days = self.daily_allocations.values_list("date", "hours")
        return {day.isoformat(): hours for day, hours in days}

    @cached_property
    def has_notes(self) -> bool:
        """Something is written about it."""
        return bool(self.note_text)

    @property
    def note_text(self) -> str | None:
        """The text of its note; None if it never had one, empty if it was deleted."""
        note: Note | None = getattr(self, "note", None)
        return note.content if note else None

    # What follows from it.

    @property
    def actual_duration_hours(self) -> float | None:
        """Hours worked: as entered, or else from start to end, to a tenth of an hour."""
        if self.actual_duration is not None:
            return self.actual_duration
        if self.actual_start is None or self.actual_end is None:
            return None
        worked = self.actual_end - self.actual_start
        return round(worked.total_seconds() / SECONDS_PER_HOUR, 1)

    @property
    def is_finished(self) -> bool:
        """Nothing is left to do, one way or the other."""
        return self.status in FINISHED

    @property
    def is_active(self) -> bool:
        """Something is left to do."""
        return not self.is_finished

    @property
    def can_be_modified(self) -> bool:
        """An archived task is a record: see ``rules.check_can_change``."""
        return not self.is_archived

    @property
    def is_schedulable(self) -> bool:
        """An optimizer may choose its time."""
        return (
            not self.is_archived
            and self.status == TaskStatus.PENDING
            and self.estimated_duration is not None
            and not self.is_fixed
            and self.planned_start is None
        )
