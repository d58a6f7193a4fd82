"""Tasks: make, list, look at, change, delete."""

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from taskdog.authentication import client_name
from taskdog.schema.endpoints import documented
from taskdog.tasks import selectors, services
from taskdog.tasks.models import Task
from taskdog.tasks.selectors import RANKING, TaskList
from taskdog.tasks.serializers import (
    ExecutableQuerySerializer,
    NewTaskSerializer,
    NextTasksSerializer,
    TaskChangesSerializer,
    TaskDetailSerializer,
    TaskIdsQuerySerializer,
    TaskListSerializer,
    TaskOperationSerializer,
    TaskQuerySerializer,
    TaskSerializer,
    UpdatedTaskSerializer,
)
from taskdog.validation import read_body, read_id, read_query


class TaskViewSet(GenericViewSet[Task]):
    """Make tasks, list them, look at one, change one, delete one."""

    serializer_class = NewTaskSerializer

    @documented(TaskOperationSerializer, status=201, body=NewTaskSerializer, errors=[400])
    def create(self, request: Request) -> Response:
        """Make a task."""
        given = read_body(NewTaskSerializer(data=request.data))
        name = given.pop("name")
        task = services.create_task(name, **given, client_name=client_name(request))
        return Response(TaskOperationSerializer(task).data, status=status.HTTP_201_CREATED)

    @documented(TaskListSerializer, query=TaskQuerySerializer, errors=[400])
    def list(self, request: Request) -> Response:
        """List tasks; the archived ones only with `all=true`."""
        query = read_query(request, TaskQuerySerializer)
        return Response(_rendered(selectors.list_tasks(**query)))

    @documented(TaskListSerializer, query=TaskIdsQuerySerializer)
    def by_ids(self, request: Request) -> Response:
        """List the tasks with these ids, in their order; what does not exist is left out."""
        query = read_query(request, TaskIdsQuerySerializer)
        return Response(_rendered(selectors.list_by_ids(query["ids"])))

    @documented(NextTasksSerializer, query=ExecutableQuerySerializer)
    def executable(self, request: Request) -> Response:
        """List what can be worked on now, the most urgent first."""
        tasks = selectors.list_executable(**read_query(request, ExecutableQuerySerializer))
        return Response(
            {"tasks": TaskSerializer(tasks, many=True).data, "ranking_basis": [*RANKING]}
        )

    @documented(TaskDetailSerializer, errors=[404, 422])
    def retrieve(self, request: Request, task_id: str) -> Response:
        """Show one task, archived or not."""
        task = selectors.get_task(read_id(task_id, name="task_id"))
        return Response(TaskDetailSerializer(task).data)

    @documented(UpdatedTaskSerializer, body=TaskChangesSerializer, errors=[400, 404])
    def partial_update(self, request: Request, task_id: str) -> Response:
        """Change what is given; null stands for what is not."""
        update = services.update_task(
            read_id(task_id, name="task_id"),
            changes=read_body(TaskChangesSerializer(data=request.data)),
            client_name=client_name(request),
        )
        task = TaskOperationSerializer(update.task).data
        return Response({**task, "updated_fields": update.updated_fields})

    @documented(TaskOperationSerializer, errors=[404, 422])
    def destroy(self, request: Request, task_id: str) -> Response:
        """Delete a task for good, and show it once more."""
        task = services.delete_task(
            read_id(task_id, name="task_id"), client_name=client_name(request)
        )
        return Response(TaskOperationSerializer(task).data)


def _rendered(found: TaskList) -> dict[str, object]:
    return {
        "tasks": TaskSerializer(found.tasks, many=True).data,
        "total_count": found.total_count,
        "filtered_count": len(found.tasks),
        "gantt": None,
    }
