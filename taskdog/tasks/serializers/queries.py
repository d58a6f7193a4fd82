"""What may be asked for in a URL."""

from typing import Any

from rest_framework import serializers

from taskdog.fields import TextField, WholeNumberField
from taskdog.moments import read_date
from taskdog.tasks.selectors import SORT_KEYS

MAX_TAG_FILTERS = 100


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
