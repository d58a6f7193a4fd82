"""
Tasks over HTTP.

Each method reads the request, calls one service or selector and renders its answer; the rules
are in ``taskdog.tasks.rules``, and ``taskdog.errors`` answers what they refuse.
"""

from taskdog.tasks.views.bulk import BULK_CHANGES, BulkView
from taskdog.tasks.views.dependencies import DependenciesView, DependencyView
from taskdog.tasks.views.lifecycle import LifecycleViewSet
from taskdog.tasks.views.notes import NotesView
from taskdog.tasks.views.tags import TagViewSet, TaskTagsView
from taskdog.tasks.views.tasks import TaskViewSet

__all__ = [
    "BULK_CHANGES",
    "BulkView",
    "DependenciesView",
    "DependencyView",
    "LifecycleViewSet",
    "NotesView",
    "TagViewSet",
    "TaskTagsView",
    "TaskViewSet",
]
