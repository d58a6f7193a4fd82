"""The audit log as a Django app."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Who changed what, and when."""

    name = "taskdog.audit"
    label = "audit"
