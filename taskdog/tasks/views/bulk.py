"""One change for many tasks."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from taskdog.authentication import client_name
from taskdog.schema.endpoints import documented
from taskdog.tasks import services
from taskdog.tasks.serializers import BulkOutcomeSerializer, OutcomeSerializer, TaskIdsSerializer
from taskdog.tasks.services import Change
from taskdog.validation import read_body

# By the last part of the URL.
BULK_CHANGES: Mapping[str, Change] = {
    "start": services.start_task,
    "complete": services.complete_task,
    "pause": services.pause_task,
    "cancel": services.cancel_task,
    "reopen": services.reopen_task,
    "archive": services.archive_task,
    "restore": services.restore_task,
    "delete": services.delete_task,
}


class BulkView(GenericAPIView[Any]):
    """One change for many tasks: 200 always, each result tells whether it was made."""

    serializer_class = TaskIdsSerializer
    operation = ""  # a key of BULK_CHANGES; the URL gives it

    @documented(BulkOutcomeSerializer, body=TaskIdsSerializer)
    def post(self, request: Request) -> Response:
        """Change one task after the other; one that is refused does not stop the rest."""
        outcomes = services.change_each(
            BULK_CHANGES[self.operation],
            **read_body(self.get_serializer(data=request.data)),
            client_name=client_name(request),
        )
        if self.operation == "delete":  # the clients expect nothing of what is gone
            outcomes = [replace(outcome, task=None) for outcome in outcomes]
        return Response({"results": OutcomeSerializer(outcomes, many=True).data})
