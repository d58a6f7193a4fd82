"""URLs of the audit log, under ``api/v1/``."""

from django.urls import path

from taskdog.audit.views import AuditLogListView

urlpatterns = [path("audit-logs", AuditLogListView.as_view(), name="audit-log-list")]
