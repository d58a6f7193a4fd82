"""How the fields of ``taskdog.fields`` look in JSON, where their class does not tell."""

from typing import Any, Literal

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema

Direction = Literal["request", "response"]

# ISO 8601 without an offset. OpenAPI's own "date-time" would demand one (RFC 3339, 5.6).
LOCAL_TIME = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?$"


class LocalDateTimeExtension(OpenApiSerializerFieldExtension):
    """A local time."""

    target_class = "taskdog.fields.LocalDateTimeField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        """Describe the text."""
        return {"type": "string", "pattern": LOCAL_TIME, "example": "2030-01-15T18:00:00"}


class HoursExtension(OpenApiSerializerFieldExtension):
    """A length of time."""

    target_class = "taskdog.fields.HoursField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        """Describe the number."""
        return {"type": "number", "exclusiveMinimum": 0}


class TagsExtension(OpenApiSerializerFieldExtension):
    """The tags of a task."""

    target_class = "taskdog.tasks.serializers.bodies.TagsField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        """Describe the list. That a tag may not be blank is a pattern."""
        from taskdog.tasks.models import MAX_TAG_LENGTH
        from taskdog.tasks.rules import MAX_TAGS

        tag = {"type": "string", "maxLength": MAX_TAG_LENGTH, "pattern": r"\S"}
        return {"type": "array", "items": tag, "maxItems": MAX_TAGS, "uniqueItems": True}
