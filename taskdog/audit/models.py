"""The record of every change. Its rows outlive what they speak of, so none has a foreign key."""

from django.db import models
from django.utils import timezone

MAX_RESOURCE_NAME_LENGTH = 500


class AuditLog(models.Model):
    """One change, as it was made."""

    timestamp = models.DateTimeField(default=timezone.now)
    client_name = models.CharField(max_length=150, null=True)  # noqa: DJ001  null: nobody's name
    operation = models.CharField(max_length=50)
    resource_type = models.CharField(max_length=50)
    resource_id = models.BigIntegerField(null=True)
    resource_name = models.CharField(max_length=MAX_RESOURCE_NAME_LENGTH, null=True)  # noqa: DJ001
    old_values = models.JSONField(null=True)
    new_values = models.JSONField(null=True)
    success = models.BooleanField(default=True)
    error_message = models.TextField(null=True)  # noqa: DJ001

    class Meta:
        db_table = "audit_logs"
        indexes = (
            models.Index(fields=["timestamp"], name="idx_audit_timestamp"),
            models.Index(fields=["client_name"], name="idx_audit_client_name"),
            models.Index(fields=["operation"], name="idx_audit_operation"),
            models.Index(fields=["resource_id"], name="idx_audit_resource_id"),
            models.Index(fields=["success"], name="idx_audit_success"),
            models.Index(fields=["client_name", "timestamp"], name="idx_audit_client_timestamp"),
            models.Index(fields=["operation", "timestamp"], name="idx_audit_operation_timestamp"),
            models.Index(fields=["resource_type", "resource_id"], name="idx_audit_resource"),
        )

    def __str__(self) -> str:
        return f"{self.operation} {self.resource_type} {self.resource_id}"
