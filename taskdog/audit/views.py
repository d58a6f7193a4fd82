"""The audit log over HTTP."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from taskdog.audit import services
from taskdog.audit.serializers import AuditLogSerializer, AuditQuerySerializer
from taskdog.validation import read_query


class AuditLogListView(APIView):
    """The record of changes, newest first."""

    def get(self, request: Request) -> Response:
        """List the rows that the filters leave, a page at a time."""
        filters = read_query(request, AuditQuerySerializer)
        limit, offset = filters.pop("limit"), filters.pop("offset")
        page = services.list_logs(filters=filters, limit=limit, offset=offset)
        return Response(
            {
                "logs": AuditLogSerializer(page.logs, many=True).data,
                "total_count": page.total_count,
                "limit": limit,
                "offset": offset,
            }
        )
