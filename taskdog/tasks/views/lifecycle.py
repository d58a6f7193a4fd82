"""The life of one task: its status, its actual times, the archive."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from taskdog.authentication import client_name
from taskdog.schema.endpoints import documented
from taskdog.tasks import services
from taskdog.tasks.models import Task
from taskdog.tasks.serializers import (
    ActualTimesSerializer,
    NoBodySerializer,
    TaskOperationSerializer,
)
from taskdog.tasks.services import Change
from taskdog.validation import read_body, read_id


class LifecycleViewSet(GenericViewSet[Task]):
    """Start a task, complete it, and whatever else may happen to it. No body but for the times."""

    serializer_class = NoBodySerializer

    @documented(TaskOperationSerializer, errors=[400, 404, 422])
    def start(self, request: Request, task_id: str) -> Response:
        """Begin the work; what the task waits for must be completed."""
        return _changed(services.start_task, task_id, request)

    @documented(TaskOperationSerializer, errors=[400, 404, 422])
    def complete(self, request: Request, task_id: str) -> Response:
        """End the work of a task in progress."""
        return _changed(services.complete_task, task_id, request)

    @documented(TaskOperationSerializer, errors=[400, 404, 422])
    def pause(self, request: Request, task_id: str) -> Response:
        """Take the start back, and with it the actual times."""
        return _changed(services.pause_task, task_id, request)

    @documented(TaskOperationSerializer, errors=[400, 404, 422])
    def cancel(self, request: Request, task_id: str) -> Response:
        """Give a task up that is not finished."""
        return _changed(services.cancel_task, task_id, request)

    @documented(TaskOperationSerializer, errors=[400, 404, 422])
    def reopen(self, request: Request, task_id: str) -> Response:
        """Make a finished task pending again, without actual times."""
        return _changed(services.reopen_task, task_id, request)

    @documented(TaskOperationSerializer, errors=[404, 422])
    def archive(self, request: Request, task_id: str) -> Response:
        """Put a task away, whatever its status; it is read-only then."""
        return _changed(services.archive_task, task_id, request)

    @documented(TaskOperationSerializer, errors=[400, 404, 422])
    def restore(self, request: Request, task_id: str) -> Response:
        """Bring a task back from the archive."""
        return _changed(services.restore_task, task_id, request)

    @documented(TaskOperationSerializer, body=ActualTimesSerializer, errors=[400, 404])
    def fix_actual(self, request: Request, task_id: str) -> Response:
        """Correct when the work was done, or clear it."""
        task = services.fix_actual_times(
            read_id(task_id, name="task_id"),
            **read_body(ActualTimesSerializer(data=request.data)),
            client_name=client_name(request),
        )
        return Response(TaskOperationSerializer(task).data)


def _changed(change: Change, task_id: str, request: Request) -> Response:
    task = change(read_id(task_id, name="task_id"), client_name=client_name(request))
    return Response(TaskOperationSerializer(task).data)
