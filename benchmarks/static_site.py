"""A Django site with one page, ``/static-file``: the file that BENCHMARK_STATIC_FILE names."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpRequest
from django.urls import path

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__)


def static_file(request: HttpRequest) -> FileResponse:
    """As Django sends a file; gunicorn then lets the system send it (sendfile)."""
    return FileResponse(open(os.environ["BENCHMARK_STATIC_FILE"], "rb"))


urlpatterns = [path("static-file", static_file)]
application = get_wsgi_application()
