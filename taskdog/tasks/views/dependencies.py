"""What a task waits for."""

from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from taskdog.authentication import client_name
from taskdog.schema.endpoints import documented
from taskdog.tasks import services
from taskdog.tasks.models import Task
from taskdog.tasks.serializers import (
    NewDependencySerializer,
    NoBodySerializer,
    TaskOperationSerializer,
)
from taskdog.validation import read_body, read_id


class DependenciesView(GenericAPIView[Task]):
    """The tasks that a task waits for."""

    serializer_class = NewDependencySerializer

    @documented(TaskOperationSerializer, body=NewDependencySerializer, errors=[400, 404])
    def post(self, request: Request, task_id: str) -> Response:
        """Make it wait for another."""
        task = services.add_dependency(
            read_id(task_id, name="task_id"),
            **read_body(self.get_serializer(data=request.data)),
            client_name=client_name(request),
        )
        return Response(TaskOperationSerializer(task).data)


class DependencyView(GenericAPIView[Task]):
    """One task that a task waits for."""

    serializer_class = NoBodySerializer

    @documented(TaskOperationSerializer, errors=[400, 404, 422])
    def delete(self, request: Request, task_id: str, depends_on_id: str) -> Response:
        """Let it wait no more."""
        task = services.remove_dependency(
            read_id(task_id, name="task_id"),
            depends_on_id=read_id(depends_on_id, name="depends_on_id"),
            client_name=client_name(request),
        )
        return Response(TaskOperationSerializer(task).data)
