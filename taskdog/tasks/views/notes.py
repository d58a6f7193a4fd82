"""The note of a task."""

from rest_framework import status
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from taskdog.authentication import client_name
from taskdog.schema.endpoints import documented
from taskdog.tasks import services
from taskdog.tasks.models import Note
from taskdog.tasks.serializers import NewNotesSerializer, NotesSerializer
from taskdog.validation import read_body, read_id


class NotesView(GenericAPIView[Note]):
    """The note of a task: one text, in Markdown by custom."""

    serializer_class = NewNotesSerializer

    @documented(NotesSerializer, errors=[404, 422])
    def get(self, request: Request, task_id: str) -> Response:
        """Read it."""
        note = services.read_notes(read_id(task_id, name="task_id"))
        return Response(NotesSerializer(note).data)

    @documented(NotesSerializer, body=NewNotesSerializer, errors=[400, 404])
    def put(self, request: Request, task_id: str) -> Response:
        """Replace it."""
        note = services.write_notes(
            read_id(task_id, name="task_id"),
            **read_body(self.get_serializer(data=request.data)),
            client_name=client_name(request),
        )
        return Response(NotesSerializer(note).data)

    @documented(None, status=204, errors=[400, 404, 422])
    def delete(self, request: Request, task_id: str) -> Response:
        """Empty it."""
        services.delete_notes(read_id(task_id, name="task_id"), client_name=client_name(request))
        return Response(status=status.HTTP_204_NO_CONTENT)
