"""The audit log as a Django app."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Who changed what, and when."""

    name = "taskdog.audit"
    label = "audit"

    def ready(self) -> None:
        """Listen to what happens to the database as a whole."""
        from backups import signals
        from taskdog.audit import archive, restores

        signals.snapshot_taken.connect(restores.record_backup, dispatch_uid="taskdog.audit")
        signals.restore_recorded.connect(restores.record_restores, dispatch_uid="taskdog.audit")
        signals.snapshot_stored.connect(archive.record_stored, dispatch_uid="taskdog.audit")
        signals.snapshot_verified.connect(archive.record_verified, dispatch_uid="taskdog.audit")
        signals.snapshots_pruned.connect(archive.record_deleted, dispatch_uid="taskdog.audit")
        signals.backup_failed.connect(archive.record_failed, dispatch_uid="taskdog.audit")
