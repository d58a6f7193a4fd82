"""The days that are set aside for a task."""

from django.db import models
from django.utils import timezone


class DailyAllocation(models.Model):
    """The hours of a day that are set aside for a task."""

    task = models.ForeignKey("tasks.Task", models.CASCADE, related_name="daily_allocations")
    date = models.DateField()
    hours = models.FloatField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "daily_allocations"
        ordering = ("date",)
        indexes = (models.Index(fields=["date"], name="idx_daily_allocations_date"),)
        constraints = (
            models.UniqueConstraint(fields=["task", "date"], name="uq_daily_allocations_task_date"),
            models.CheckConstraint(
                condition=models.Q(hours__gt=0), name="ck_daily_allocations_hours_positive"
            ),
        )

    def __str__(self) -> str:
        return f"{self.hours} h of task {self.task_id} on {self.date}"
