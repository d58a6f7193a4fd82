"""What may come in with a body."""

from typing import Any

from rest_framework import serializers

from taskdog.fields import CountField, HoursField, LocalDateTimeField, TextField, WholeNumberField
from taskdog.tasks.exceptions import InvalidTagsError
from taskdog.tasks.models import MAX_NAME_LENGTH, TaskStatus
from taskdog.tasks.rules import check_tags

MAX_BULK = 1000  # tasks in one request: each is a transaction


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
