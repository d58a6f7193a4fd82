"""
The description over HTTP, open to everybody: it tells what the source tells.

Importing this module is what makes the extensions beside it known to drf-spectacular.
"""

import threading

from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from taskdog.schema import authentication, backups, fields

__all__ = ["SchemaView", "SwaggerView", "authentication", "backups", "fields"]


class SchemaView(SpectacularAPIView):
    """
    The description, as YAML or, with `?format=json`, as JSON.

    It is the same for every caller, with a key or without, and in one language; so it is made
    once in each process, whatever a request asks for besides the format.
    """

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        """What was made at the first request for this format."""
        renderer: BaseRenderer = request.accepted_renderer
        return HttpResponse(
            description.rendered_by(renderer),
            content_type=renderer.media_type
            + (f"; charset={renderer.charset}" if renderer.charset else ""),
            headers={"Content-Disposition": f'inline; filename="taskdog.{renderer.format}"'},
        )


class SwaggerView(SpectacularSwaggerSplitView):
    """The description to read and to try, in a browser. Its script is an answer of its own."""

    url_name = "schema"


class Description:
    """Made once in each format: that takes a processor a second, and anybody may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # those who ask at the same time wait for the first
        self._made: dict[type[BaseRenderer], str | bytes] = {}

    def rendered_by(self, renderer: BaseRenderer) -> str | bytes:
        """The whole description in one format."""
        kind = type(renderer)
        with self._lock:
            if kind not in self._made:
                schema = SchemaGenerator().get_schema(public=True)
                self._made[kind] = renderer.render(schema, renderer.media_type, {})
            return self._made[kind]


description = Description()
