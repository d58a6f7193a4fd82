"""Tags, and which task has them."""

from django.db import models
from django.utils import timezone

MAX_TAG_LENGTH = 50  # as the clients know it; the column is wider


class Tag(models.Model):
    """A word that groups tasks. It stays when no task has it any more."""

    name = models.CharField(max_length=100, unique=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "tags"

    def __str__(self) -> str:
        return self.name


class TaskTag(models.Model):
    """A tag on a task. The order of the ids is the order in which the tags were given."""

    task = models.ForeignKey("tasks.Task", models.CASCADE, related_name="tag_links")
    tag = models.ForeignKey(Tag, models.CASCADE, related_name="task_links")

    class Meta:
        db_table = "task_tags"
        ordering = ("id",)
        constraints = (models.UniqueConstraint(fields=["task", "tag"], name="uq_task_tags_pair"),)

    def __str__(self) -> str:
        return f"task {self.task_id}, tag {self.tag_id}"
