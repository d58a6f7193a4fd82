"""The audit log on the wire."""

from typing import Any

from rest_framework import serializers

from taskdog.audit.models import AuditLog
from taskdog.fields import MAX_INTEGER, TextField, WholeNumberField

MAX_PAGE = 10_000  # rows in one answer


class AuditLogSerializer(serializers.ModelSerializer[AuditLog]):
    """One row."""

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


class AuditQuerySerializer(serializers.Serializer[Any]):
    """Which rows are asked for."""

    client = TextField(required=False)
    operation = TextField(required=False)
    resource_type = TextField(required=False)
    resource_id = WholeNumberField(required=False)
    success = serializers.BooleanField(required=False, allow_null=True, default=None)
    limit = WholeNumberField(default=100, min_value=1, max_value=MAX_PAGE)
    offset = WholeNumberField(default=0, min_value=0, max_value=MAX_INTEGER - MAX_PAGE)
