# ruff: noqa: RUF012 - the lists are as makemigrations writes them

import django.db.models.deletion
import django.db.models.functions.text
import django.db.models.lookups
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="DailyAllocation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("date", models.DateField()),
                ("hours", models.FloatField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "db_table": "daily_allocations",
                "ordering": ("date",),
            },
        ),
        migrations.CreateModel(
            name="Task",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=255)),
                ("priority", models.BigIntegerField(null=True)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("PENDING", "Pending"),
                            ("IN_PROGRESS", "In Progress"),
                            ("COMPLETED", "Completed"),
                            ("CANCELED", "Canceled"),
                        ],
                        default="PENDING",
                        max_length=50,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("planned_start", models.DateTimeField(null=True)),
                ("planned_end", models.DateTimeField(null=True)),
                ("deadline", models.DateTimeField(null=True)),
                ("actual_start", models.DateTimeField(null=True)),
                ("actual_end", models.DateTimeField(null=True)),
                ("actual_duration", models.FloatField(null=True)),
                ("estimated_duration", models.FloatField(null=True)),
                ("is_fixed", models.BooleanField(default=False)),
                ("is_archived", models.BooleanField(default=False)),
            ],
            options={
                "db_table": "tasks",
            },
        ),
        migrations.CreateModel(
            name="Tag",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100, unique=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "db_table": "tags",
            },
        ),
        migrations.CreateModel(
            name="TaskDependency",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
            ],
            options={
                "db_table": "task_dependencies",
                "ordering": ("id",),
            },
        ),
        migrations.CreateModel(
            name="TaskTag",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
            ],
            options={
                "db_table": "task_tags",
                "ordering": ("id",),
            },
        ),
        migrations.CreateModel(
            name="Note",
            fields=[
                (
                    "task",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="note",
                        serialize=False,
                        to="tasks.task",
                    ),
                ),
                ("content", models.TextField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "db_table": "notes",
            },
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(fields=["status"], name="idx_status"),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(fields=["is_archived"], name="idx_is_archived"),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(fields=["deadline"], name="idx_deadline"),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(fields=["planned_start"], name="idx_planned_start"),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(fields=["priority"], name="idx_priority"),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=django.db.models.lookups.GreaterThan(
                    django.db.models.functions.text.Length(
                        django.db.models.functions.text.Trim("name")
                    ),
                    0,
                ),
                name="ck_tasks_name_not_blank",
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(("priority", None), ("priority__gt", 0), _connector="OR"),
                name="ck_tasks_priority_positive",
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status__in", ["PENDING", "IN_PROGRESS", "COMPLETED", "CANCELED"])
                ),
                name="ck_tasks_status_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("actual_duration", None), ("actual_duration__gt", 0), _connector="OR"
                ),
                name="ck_tasks_actual_duration_positive",
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("estimated_duration", None), ("estimated_duration__gt", 0), _connector="OR"
                ),
                name="ck_tasks_estimated_duration_positive",
            ),
        ),
        migrations.AddField(
            model_name="dailyallocation",
            name="task",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="daily_allocations",
                to="tasks.task",
            ),
        ),
        migrations.AddField(
            model_name="taskdependency",
            name="depends_on",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="dependents",
                to="tasks.task",
            ),
        ),
        migrations.AddField(
            model_name="taskdependency",
            name="task",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="dependencies",
                to="tasks.task",
            ),
        ),
        migrations.AddField(
            model_name="tasktag",
            name="tag",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="task_links",
                to="tasks.tag",
            ),
        ),
        migrations.AddField(
            model_name="tasktag",
            name="task",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="tag_links",
                to="tasks.task",
            ),
        ),
        migrations.AddIndex(
            model_name="dailyallocation",
            index=models.Index(fields=["date"], name="idx_daily_allocations_date"),
        ),
        migrations.AddConstraint(
            model_name="dailyallocation",
            constraint=models.UniqueConstraint(
                fields=("task", "date"), name="uq_daily_allocations_task_date"
            ),
        ),
        migrations.AddConstraint(
            model_name="dailyallocation",
            constraint=models.CheckConstraint(
                condition=models.Q(("hours__gt", 0)), name="ck_daily_allocations_hours_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="taskdependency",
            constraint=models.UniqueConstraint(
                fields=("task", "depends_on"), name="uq_task_dependencies_pair"
            ),
        ),
        migrations.AddConstraint(
            model_name="taskdependency",
            constraint=models.CheckConstraint(
                condition=models.Q(("task", models.F("depends_on")), _negated=True),
                name="ck_task_dependencies_not_self",
            ),
        ),
        migrations.AddConstraint(
            model_name="tasktag",
            constraint=models.UniqueConstraint(fields=("task", "tag"), name="uq_task_tags_pair"),
        ),
    ]
