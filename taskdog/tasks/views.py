"""
Tasks over HTTP.

Each method reads the request, calls one service and renders its answer; the rules are in the
services, and ``taskdog.errors`` answers what they refuse.
"""

from rest_framework import status
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from taskdog.authentication import client_name
from taskdog.tasks import selectors, services
from taskdog.tasks.models import Note, Task
from taskdog.tasks.serializers import (
    NewDependencySerializer,
    NewNotesSerializer,
    NewTaskSerializer,
    NotesSerializer,
    TagsSerializer,
    TaskDetailSerializer,
    TaskOperationSerializer,
    TaskQuerySerializer,
    TaskSerializer,
)
from taskdog.validation import read_body, read_id, read_query


class TaskViewSet(GenericViewSet[Task]):
    """Make tasks, list them, look at one, delete one."""

    serializer_class = NewTaskSerializer

    def create(self, request: Request) -> Response:
        """Make a task."""
        given = read_body(self.get_serializer(data=request.data))
        task = services.create_task(**given, client_name=client_name(request))
        return Response(TaskOperationSerializer(task).data, status=status.HTTP_201_CREATED)

    def list(self, request: Request) -> Response:
        """List tasks; the archived ones only with ``all=true``."""
        found = selectors.list_tasks(**read_query(request, TaskQuerySerializer))
        return Response(
            {
                "tasks": TaskSerializer(found.tasks, many=True).data,
                "total_count": found.total_count,
                "filtered_count": len(found.tasks),
                "gantt": None,
            }
        )

    def retrieve(self, request: Request, task_id: str) -> Response:
        """Show one task, archived or not."""
        task = selectors.get_task(read_id(task_id, name="task_id"))
        return Response(TaskDetailSerializer(task).data)

    def destroy(self, request: Request, task_id: str) -> Response:
        """Delete a task for good, and show it once more."""
        task = services.delete_task(
            read_id(task_id, name="task_id"), client_name=client_name(request)
        )
        return Response(TaskOperationSerializer(task).data)


class NotesView(GenericAPIView[Note]):
    """The note of a task."""

    serializer_class = NewNotesSerializer

    def get(self, request: Request, task_id: str) -> Response:
        """Read it."""
        note = services.read_notes(read_id(task_id, name="task_id"))
        return Response(NotesSerializer(note).data)

    def put(self, request: Request, task_id: str) -> Response:
        """Replace it."""
        note = services.write_notes(
            read_id(task_id, name="task_id"),
            **read_body(self.get_serializer(data=request.data)),
            client_name=client_name(request),
        )
        return Response(NotesSerializer(note).data)


class TagsView(GenericAPIView[Task]):
    """The tags of a task."""

    serializer_class = TagsSerializer

    def put(self, request: Request, task_id: str) -> Response:
        """Replace them."""
        task = services.set_tags(
            read_id(task_id, name="task_id"),
            **read_body(self.get_serializer(data=request.data)),
            client_name=client_name(request),
        )
        return Response(TaskOperationSerializer(task).data)


class DependenciesView(GenericAPIView[Task]):
    """The tasks that a task waits for."""

    serializer_class = NewDependencySerializer

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

    serializer_class = NewDependencySerializer

    def delete(self, request: Request, task_id: str, depends_on_id: str) -> Response:
        """Let it wait no more."""
        task = services.remove_dependency(
            read_id(task_id, name="task_id"),
            depends_on_id=read_id(depends_on_id, name="depends_on_id"),
            client_name=client_name(request),
        )
        return Response(TaskOperationSerializer(task).data)
