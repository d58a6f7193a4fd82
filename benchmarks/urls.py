"""The site's own URLs, and ``/static-file``: a file that Django and gunicorn send as they do."""

import os

from django.http import FileResponse, HttpRequest
from django.urls import include, path


def static_file(request: HttpRequest) -> FileResponse:
    """The file that BENCHMARK_STATIC_FILE names."""
    return FileResponse(open(os.environ["BENCHMARK_STATIC_FILE"], "rb"))


urlpatterns = [path("static-file", static_file), path("", include("taskdog.urls"))]
