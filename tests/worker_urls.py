"""The site's own URLs, and ``/who``: what the worker that answers sees and remembers."""

import os

from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest, JsonResponse
from django.urls import include, path

from taskdog.tasks.models import Task


def worker(request: HttpRequest) -> JsonResponse:
    """The tasks are read anew; Django remembers the content type, once it was asked for it."""
    return JsonResponse(
        {
            "pid": os.getpid(),
            "tasks": [task.name for task in Task.objects.order_by("pk")],
            "content_type": ContentType.objects.get_for_model(Task).pk,
        }
    )


urlpatterns = [path("who", worker), path("", include("taskdog.urls"))]
