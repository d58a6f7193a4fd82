"""The note of a task."""

from django.db import models
from django.utils import timezone


class Note(models.Model):
    """What is written about a task: one text, which is empty after it was deleted."""

    task = models.OneToOneField("tasks.Task", models.CASCADE, primary_key=True, related_name="note")
    content = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "notes"

    def __str__(self) -> str:
        return f"note of task {self.task_id}"
