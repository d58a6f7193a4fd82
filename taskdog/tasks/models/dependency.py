"""Which task waits for which."""

from django.db import models


class TaskDependency(models.Model):
    """``task`` cannot start before ``depends_on`` is completed."""

    task = models.ForeignKey("tasks.Task", models.CASCADE, related_name="dependencies")
    depends_on = models.ForeignKey("tasks.Task", models.CASCADE, related_name="dependents")

    class Meta:
        db_table = "task_dependencies"
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(
                fields=["task", "depends_on"], name="uq_task_dependencies_pair"
            ),
            models.CheckConstraint(
                condition=~models.Q(task=models.F("depends_on")),
                name="ck_task_dependencies_not_self",
            ),
        )

    def __str__(self) -> str:
        return f"{self.task_id} → {self.depends_on_id}"
