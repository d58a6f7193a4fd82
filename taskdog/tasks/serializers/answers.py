"""What goes out: tasks and what hangs on them, as they are on the wire."""

from datetime import datetime
from typing import Any

from django.utils.functional import cached_property
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from taskdog.fields import MODEL_FIELDS
from taskdog.tasks.models import Note, Task

COMMON_FIELDS = (
    "id",
    "name",
    "status",
    "priority",
    "deadline",
    "estimated_duration",
    "planned_start",
    "planned_end",
    "actual_start",
    "actual_end",
    "actual_duration_hours",
    "depends_on",
    "tags",
    "is_fixed",
    "is_archived",
    "daily_allocations",
)


class TaskOperationSerializer(serializers.ModelSerializer[Task]):
    """A task as a change leaves it."""

    actual_duration_hours = serializers.FloatField(read_only=True, allow_null=True)
    depends_on = serializers.ListField(
        source="depends_on_ids", child=serializers.IntegerField(), read_only=True
    )
    tags = serializers.ListField(source="tag_names", child=serializers.CharField(), read_only=True)
    daily_allocations = serializers.DictField(
        source="allocated_hours", child=serializers.FloatField(), read_only=True
    )

    serializer_field_mapping = MODEL_FIELDS

    class Meta:
        model = Task
        fields: tuple[str, ...] = (*COMMON_FIELDS, "actual_duration")
        read_only_fields: tuple[str, ...] = fields

    @cached_property
    def attributes(self) -> list[tuple[str, str]]:
        """The keys on the wire, and the attribute of the task that each is read from."""
        return [(name, str(field.source)) for name, field in self.fields.items()]

    def to_representation(self, task: Task) -> dict[str, Any]:
        """
        Read the attributes, without asking each field for its way to render.

        They are as JSON takes them, but for the times. For a list of ten thousand tasks that
        is the difference between a tenth of a second and one second.
        """
        row: dict[str, Any] = {}
        for name, attribute in self.attributes:
            value = getattr(task, attribute)
            row[name] = value.isoformat() if isinstance(value, datetime) else value
        return row


class UpdatedTaskSerializer(TaskOperationSerializer):
    """A task as an update leaves it, and what the update changed."""

    updated_fields = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta(TaskOperationSerializer.Meta):
        fields: tuple[str, ...] = (*TaskOperationSerializer.Meta.fields, "updated_fields")
        read_only_fields = fields


class TaskSerializer(TaskOperationSerializer):
    """A task as a row of a list."""

    is_finished = serializers.BooleanField(read_only=True)
    has_notes = serializers.BooleanField(read_only=True)

    class Meta(TaskOperationSerializer.Meta):
        fields: tuple[str, ...] = (
            *COMMON_FIELDS,
            "is_finished",
            "has_notes",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields


class TaskDetailSerializer(TaskSerializer):
    """One task with all there is to tell."""

    is_active = serializers.BooleanField(read_only=True)
    can_be_modified = serializers.BooleanField(read_only=True)
    is_schedulable = serializers.BooleanField(read_only=True)
    notes = serializers.CharField(source="note_text", read_only=True, allow_null=True)

    class Meta(TaskSerializer.Meta):
        fields: tuple[str, ...] = (
            *TaskSerializer.Meta.fields,
            "is_active",
            "can_be_modified",
            "is_schedulable",
            "notes",
        )
        read_only_fields = fields


@extend_schema_serializer(many=False)  # the answer of a method called list is not an array
class TaskListSerializer(serializers.Serializer[Any]):
    """A list of tasks, whole: it has no pages."""

    tasks = TaskSerializer(many=True)
    total_count = serializers.IntegerField(
        help_text="How many tasks there are, whatever the filters."
    )
    filtered_count = serializers.IntegerField(help_text="How many tasks match the filters.")
    gantt = serializers.JSONField(help_text="Always null.")


class NextTasksSerializer(serializers.Serializer[Any]):
    """What can be worked on, and what it is ranked by."""

    tasks = TaskSerializer(many=True)
    ranking_basis = serializers.ListField(child=serializers.CharField())


class OutcomeSerializer(serializers.Serializer[Any]):
    """What a bulk operation did to one task."""

    task_id = serializers.IntegerField()
    success = serializers.BooleanField()
    task = TaskOperationSerializer(allow_null=True)
    error = serializers.CharField(allow_null=True)


class BulkOutcomeSerializer(serializers.Serializer[Any]):
    """What a bulk operation did, in the order of the ids."""

    results = OutcomeSerializer(many=True)


class TagCountSerializer(serializers.Serializer[Any]):
    """A tag, and how many tasks have it."""

    tag = serializers.CharField()
    count = serializers.IntegerField()
    completion_rate = serializers.FloatField(default=0.0, help_text="Always 0.")


class TagStatisticsSerializer(serializers.Serializer[Any]):
    """The tags that tasks have."""

    tags = TagCountSerializer(many=True)
    total_tags = serializers.IntegerField()


class DeletedTagSerializer(serializers.Serializer[Any]):
    """A tag that was deleted."""

    tag_name = serializers.CharField()
    affected_task_count = serializers.IntegerField()


class NotesSerializer(serializers.ModelSerializer[Note]):
    """The note of a task."""

    has_notes = serializers.BooleanField(source="content", read_only=True)

    class Meta:
        model = Note
        fields = ("task_id", "content", "has_notes")
        read_only_fields = fields
