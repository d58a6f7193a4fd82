"""Tasks on the wire: what goes out, and what may come in."""

from datetime import datetime
from typing import Any

from django.utils.functional import cached_property
from rest_framework import serializers

from taskdog.fields import CountField, HoursField, LocalDateTimeField, TextField, WholeNumberField
from taskdog.moments import read_date
from taskdog.tasks.exceptions import InvalidTagsError
from taskdog.tasks.models import MAX_NAME_LENGTH, Note, Task, TaskStatus
from taskdog.tasks.rules import check_tags
from taskdog.tasks.selectors import SORT_KEYS

MAX_BULK = 1000  # tasks in one request: each is a transaction
MAX_TAG_FILTERS = 100

# Out -------------------------------------------------------------------------------------------

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

    class Meta:
        model = Task
        fields: tuple[str, ...] = (*COMMON_FIELDS, "actual_duration")

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


class TaskListSerializer(serializers.Serializer[Any]):
    """A list of tasks, whole: it has no pages."""

    tasks = TaskSerializer(many=True)
    total_count = serializers.IntegerField(help_text="All tasks, whatever the filters.")
    filtered_count = serializers.IntegerField(help_text="The tasks that the filters leave.")
    gantt = serializers.JSONField(allow_null=True, help_text="Always null.")


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
    """A tag that is no more."""

    tag_name = serializers.CharField()
    affected_task_count = serializers.IntegerField()


class NotesSerializer(serializers.ModelSerializer[Note]):
    """The note of a task."""

    has_notes = serializers.BooleanField(source="content", read_only=True)

    class Meta:
        model = Note
        fields = ("task_id", "content", "has_notes")


# In --------------------------------------------------------------------------------------------


class TagsField(serializers.ListField):
    """The tags of a task, held to the rules of the domain."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=TextField(allow_blank=True), **options)

    def to_internal_value(self, data: Any) -> list[str]:
        """Check that it is a list of text, then what the domain asks of it."""
        tags: list[str] = super().to_internal_value(data)
        try:
            check_tags(tags)
        except InvalidTagsError as error:
            raise serializers.ValidationError(f"Value error, {error}") from error
        return tags


class NoBodySerializer(serializers.Serializer[Any]):
    """What is asked for without a body."""


class NewTaskSerializer(serializers.Serializer[Any]):
    """The body that makes a task. Null stands for what is not given."""

    name = TextField(max_length=MAX_NAME_LENGTH, min_length=1)
    priority = CountField(required=False, allow_null=True)
    planned_start = LocalDateTimeField(required=False, allow_null=True)
    planned_end = LocalDateTimeField(required=False, allow_null=True)
    deadline = LocalDateTimeField(required=False, allow_null=True)
    estimated_duration = HoursField(required=False, allow_null=True)
    is_fixed = serializers.BooleanField(required=False)
    tags = TagsField(required=False, allow_null=True)

    def validate_tags(self, tags: list[str] | None) -> list[str]:
        """Take null for no tags."""
        return tags or []


class TaskChangesSerializer(serializers.Serializer[Any]):
    """The body that changes a task. Null stands for what is not given; nothing is cleared by it."""

    status = serializers.ChoiceField(choices=TaskStatus.values, required=False, allow_null=True)
    name = TextField(max_length=MAX_NAME_LENGTH, min_length=1, required=False, allow_null=True)
    priority = CountField(required=False, allow_null=True)
    planned_start = LocalDateTimeField(required=False, allow_null=True)
    planned_end = LocalDateTimeField(required=False, allow_null=True)
    deadline = LocalDateTimeField(required=False, allow_null=True)
    estimated_duration = HoursField(required=False, allow_null=True)
    is_fixed = serializers.BooleanField(required=False, allow_null=True)
    tags = TagsField(required=False, allow_null=True)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        """Leave out what is null."""
        return {field: value for field, value in given.items() if value is not None}


class ActualTimesSerializer(serializers.Serializer[Any]):
    """The body that corrects when the work was done. Null stands for what is not given."""

    actual_start = LocalDateTimeField(required=False, allow_null=True)
    actual_end = LocalDateTimeField(required=False, allow_null=True)
    actual_duration = HoursField(required=False, allow_null=True)
    clear_start = serializers.BooleanField(default=False)
    clear_end = serializers.BooleanField(default=False)
    clear_duration = serializers.BooleanField(default=False)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        """Bring it into one mapping, in which None clears. What is both set and cleared is not."""
        changes: dict[str, Any] = {}
        for name in ("start", "end", "duration"):
            value = given.get(f"actual_{name}")
            if value is not None and given[f"clear_{name}"]:
                raise serializers.ValidationError(
                    f"Value error, Cannot set actual_{name} and clear_{name} simultaneously"
                )
            if value is not None or given[f"clear_{name}"]:
                changes[f"actual_{name}"] = value
        if not changes:
            raise serializers.ValidationError(
                "Value error, At least one of actual_start, actual_end, actual_duration, "
                "clear_start, clear_end, or clear_duration must be specified"
            )
        return {"changes": changes}


class TaskIdsSerializer(serializers.Serializer[Any]):
    """The body of a bulk operation."""

    task_ids = serializers.ListField(
        child=WholeNumberField(), allow_empty=False, max_length=MAX_BULK
    )


class TagsSerializer(serializers.Serializer[Any]):
    """The body that replaces the tags of a task."""

    tags = TagsField()


class NewDependencySerializer(serializers.Serializer[Any]):
    """The body that makes a task wait for another."""

    depends_on_id = WholeNumberField()


class NewNotesSerializer(serializers.Serializer[Any]):
    """The body that replaces the note of a task."""

    content = TextField(allow_blank=True)


class TagFiltersField(serializers.ListField):
    """The tags of which a task must have one; the parameter may be repeated."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=TextField(allow_blank=True), max_length=MAX_TAG_FILTERS, **options)


class TaskQuerySerializer(serializers.Serializer[Any]):
    """Which tasks a list is asked for."""

    all = serializers.BooleanField(
        default=False, source="include_archived", help_text="Archived tasks too."
    )
    status = TextField(required=False, allow_blank=True, help_text="In upper or lower case.")
    tags = TagFiltersField(required=False)
    start_date = TextField(
        required=False, allow_blank=True, help_text="A date, or a time of which the date counts."
    )
    end_date = TextField(required=False, allow_blank=True, help_text="Included.")
    sort = TextField(default="id", allow_blank=True, help_text=", ".join(SORT_KEYS))
    reverse = serializers.BooleanField(default=False)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        """Read the dates. :raises InvalidFilterError: if one is none."""
        start, end = given.pop("start_date", None), given.pop("end_date", None)
        return given | {"start": read_date(start), "end": read_date(end)}


class ExecutableQuerySerializer(serializers.Serializer[Any]):
    """Which of the tasks that can be worked on are asked for."""

    tags = TagFiltersField(required=False)
    limit = WholeNumberField(default=10, min_value=1)


class TaskIdsQuerySerializer(serializers.Serializer[Any]):
    """The ids of the tasks that are asked for."""

    ids = serializers.ListField(child=WholeNumberField(), allow_empty=False)
