"""The audit log as a Django app."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Who changed what, and when."""

    name = "taskdog.audit"
    label = "audit"

    def ready(self) -> None:
        """Listen to what happens to the database as a whole."""
        from backups import signals
        from taskdog.audit import restores

        signals.snapshot_taken.connect(restores.record_backup, dispatch_uid="taskdog.audit")
        signals.restore_recorded.connect(restores.record_restores, dispatch_uid="taskdog.audit")
