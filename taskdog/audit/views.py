"""The audit log over HTTP."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from taskdog.audit import services
from taskdog.audit.models import AuditLog
from taskdog.audit.serializers import AuditLogSerializer, AuditPageSerializer, AuditQuerySerializer
from taskdog.schema.endpoints import documented
from taskdog.validation import read_id, read_query


class AuditLogViewSet(GenericViewSet[AuditLog]):
    """The record of changes. It is written by them, and by nobody else."""

    serializer_class = AuditLogSerializer

    @documented(AuditPageSerializer, query=AuditQuerySerializer, errors=[400])
    def list(self, request: Request) -> Response:
        """List the rows that the filters leave, newest first, a page at a time."""
        filters = read_query(request, AuditQuerySerializer)
        limit, offset = filters.pop("limit"), filters.pop("offset")
        found = services.list_logs(filters=filters, limit=limit, offset=offset)
        page = {
            "logs": found.logs,
            "total_count": found.total_count,
            "limit": limit,
            "offset": offset,
        }
        return Response(AuditPageSerializer(page).data)

    @documented(AuditLogSerializer, errors=[404, 422])
    def retrieve(self, request: Request, log_id: str) -> Response:
        """Show one row."""
        log = services.get_log(read_id(log_id, name="log_id"))
        return Response(AuditLogSerializer(log).data)
