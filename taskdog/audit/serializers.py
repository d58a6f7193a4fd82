"""The audit log on the wire."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from taskdog.audit.models import AuditLog
from taskdog.fields import MAX_INTEGER, MODEL_FIELDS, TextField, WholeNumberField
from taskdog.moments import read_end, read_start

MAX_PAGE = 10_000  # rows in one answer


class AuditLogSerializer(serializers.ModelSerializer[AuditLog]):
    """One row."""

    serializer_field_mapping = MODEL_FIELDS

    old_values = serializers.DictField(read_only=True, allow_null=True)
    new_values = serializers.DictField(read_only=True, allow_null=True)

    class Meta:
        model = AuditLog
        fields = (
            "id",
            "timestamp",
            "client_name",
            "operation",
            "resource_type",
            "resource_id",
            "resource_name",
            "old_values",
            "new_values",
            "success",
            "error_message",
        )
        read_only_fields = fields


@extend_schema_serializer(many=False)  # the answer of a method called list is not an array
class AuditPageSerializer(serializers.Serializer[Any]):
    """A part of the log, newest first."""

    logs = AuditLogSerializer(many=True)
    total_count = serializers.IntegerField(help_text="How many rows match the filters.")
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()


class AuditQuerySerializer(serializers.Serializer[Any]):
    """Which rows are asked for."""

    client = TextField(required=False)
    operation = TextField(required=False)
    resource_type = TextField(required=False)
    resource_id = WholeNumberField(required=False)
    success = serializers.BooleanField(required=False, allow_null=True, default=None)
    start_date = TextField(
        required=False,
        allow_blank=True,
        help_text="A time, or a date, which counts from its beginning.",
    )
    end_date = TextField(
        required=False,
        allow_blank=True,
        help_text="A time, or a date, which counts to its end; included.",
    )
    limit = WholeNumberField(default=100, min_value=1, max_value=MAX_PAGE)
    offset = WholeNumberField(default=0, min_value=0, max_value=MAX_INTEGER - MAX_PAGE)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        """Read the times. :raises InvalidFilterError: if one is none."""
        start, end = given.pop("start_date", None), given.pop("end_date", None)
        return given | {"start": read_start(start), "end": read_end(end)}
