"""
The description over HTTP, open to everybody: it tells what the source tells.

Importing this module is what makes the extensions beside it known to drf-spectacular.
"""

from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from taskdog.schema import authentication, backups, fields

__all__ = ["SchemaView", "SwaggerView", "authentication", "backups", "fields"]


class SchemaView(SpectacularAPIView):
    """The description, as YAML or, with `?format=json`, as JSON."""


class SwaggerView(SpectacularSwaggerSplitView):
    """The description to read and to try, in a browser. Its script is an answer of its own."""

    url_name = "schema"
