"""URLs of the audit log, under ``api/v1/``."""

from django.urls import path

from taskdog.audit.views import AuditLogViewSet

urlpatterns = [
    path("audit-logs", AuditLogViewSet.as_view({"get": "list"}), name="audit-log-list"),
    path(
        "audit-logs/<str:log_id>",
        AuditLogViewSet.as_view({"get": "retrieve"}),
        name="audit-log-detail",
    ),
]
