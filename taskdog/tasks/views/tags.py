"""Tags: those of a task, and all there are."""

from typing import Any

from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from taskdog.authentication import client_name
from taskdog.schema.endpoints import documented
from taskdog.tasks import selectors, services
from taskdog.tasks.models import Tag, Task
from taskdog.tasks.serializers import (
    DeletedTagSerializer,
    NoBodySerializer,
    TagCountSerializer,
    TagsSerializer,
    TagStatisticsSerializer,
    TaskOperationSerializer,
)
from taskdog.validation import InputError, read_body, read_id

ENCODE = "A question mark in the name of a tag must be encoded as %3F; nothing was deleted."


class TaskTagsView(GenericAPIView[Task]):
    """The tags of a task."""

    serializer_class = TagsSerializer

    @documented(TaskOperationSerializer, body=TagsSerializer, errors=[400, 404])
    def put(self, request: Request, task_id: str) -> Response:
        """Replace them."""
        task = services.set_tags(
            read_id(task_id, name="task_id"),
            **read_body(self.get_serializer(data=request.data)),
            client_name=client_name(request),
        )
        return Response(TaskOperationSerializer(task).data)


class TagViewSet(GenericViewSet[Tag]):
    """All tags."""

    serializer_class = NoBodySerializer

    @documented(TagStatisticsSerializer)
    def statistics(self, request: Request, **path: Any) -> Response:
        """Count the tasks of each tag that a task has."""
        tags = TagCountSerializer(selectors.count_tags(), many=True).data
        return Response({"tags": tags, "total_tags": len(tags)})

    @documented(DeletedTagSerializer, errors=[404, 422])
    def destroy(self, request: Request, tag_name: str) -> Response:
        """
        Take a tag off every task.

        The name is the rest of the path, slashes too. A question mark must be encoded: after a
        bare one the rest would be lost, and another tag be deleted than was meant.
        """
        if request.META.get("QUERY_STRING"):
            raise InputError({"tag_name": [ENCODE]}, part="path", given={"tag_name": tag_name})
        affected = services.delete_tag(tag_name, client_name=client_name(request))
        answer = {"tag_name": tag_name, "affected_task_count": affected}
        return Response(DeletedTagSerializer(answer).data)
