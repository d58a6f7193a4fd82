"""Tasks on the wire: what goes out, and what may come in."""

from typing import Any

from rest_framework import serializers

from taskdog.fields import HoursField, LocalDateTimeField, TextField, WholeNumberField
from taskdog.tasks.exceptions import InvalidTagsError
from taskdog.tasks.models import MAX_NAME_LENGTH, Note, Task
from taskdog.tasks.services.tags import check_tags

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
    """A task as a change leaves it. It must have been fetched with its details."""

    depends_on = serializers.SerializerMethodField()
    tags = serializers.SerializerMethodField()
    daily_allocations = serializers.SerializerMethodField()

    class Meta:
        model = Task
        fields: tuple[str, ...] = (*COMMON_FIELDS, "actual_duration")

    def get_depends_on(self, task: Task) -> list[int]:
        """List the ids of the tasks that it waits for."""
        return [link.depends_on_id for link in task.dependencies.all()]

    def get_tags(self, task: Task) -> list[str]:
        """List its tags in the order in which they were given."""
        return [link.tag.name for link in task.tag_links.all()]

    def get_daily_allocations(self, task: Task) -> dict[str, float]:
        """Map each day to its hours."""
        return {day.date.isoformat(): day.hours for day in task.daily_allocations.all()}


class TaskSerializer(TaskOperationSerializer):
    """A task as a row of a list."""

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

    notes = serializers.SerializerMethodField()

    class Meta(TaskSerializer.Meta):
        fields: tuple[str, ...] = (
            *TaskSerializer.Meta.fields,
            "is_active",
            "can_be_modified",
            "is_schedulable",
            "notes",
        )

    def get_notes(self, task: Task) -> str | None:
        """Give the text of its note; null if it never had one."""
        note: Note | None = getattr(task, "note", None)
        return note.content if note else None


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
            raise serializers.ValidationError(str(error)) from error
        return tags


class NewTaskSerializer(serializers.Serializer[Any]):
    """The body that makes a task. Null stands for what is not given."""

    name = TextField(max_length=MAX_NAME_LENGTH, min_length=1)
    priority = WholeNumberField(required=False, allow_null=True, min_value=1)
    planned_start = LocalDateTimeField(required=False, allow_null=True)
    planned_end = LocalDateTimeField(required=False, allow_null=True)
    deadline = LocalDateTimeField(required=False, allow_null=True)
    estimated_duration = HoursField(required=False, allow_null=True)
    is_fixed = serializers.BooleanField(required=False)
    tags = TagsField(required=False, allow_null=True)

    def validate_tags(self, tags: list[str] | None) -> list[str]:
        """Take null for no tags."""
        return tags or []


class TagsSerializer(serializers.Serializer[Any]):
    """The body that replaces the tags of a task."""

    tags = TagsField()


class NewDependencySerializer(serializers.Serializer[Any]):
    """The body that makes a task wait for another."""

    depends_on_id = WholeNumberField()


class NewNotesSerializer(serializers.Serializer[Any]):
    """The body that replaces the note of a task."""

    content = TextField(allow_blank=True)


class TaskQuerySerializer(serializers.Serializer[Any]):
    """Which tasks a list is asked for."""

    all = serializers.BooleanField(default=False, source="include_archived")
    status = TextField(required=False, allow_blank=True)
    tags = serializers.ListField(child=TextField(allow_blank=True), required=False)
    sort = TextField(default="id", allow_blank=True)
    reverse = serializers.BooleanField(default=False)
