"""
URLs of the tasks, under ``api/v1/``. An id is checked by its view: a wrong one is a 422.

What has a word where an id could be comes before what has an id there.
"""

from django.urls import path, register_converter

from taskdog.tasks.views import (
    BULK_CHANGES,
    BulkView,
    DependenciesView,
    DependencyView,
    LifecycleViewSet,
    NotesView,
    TagViewSet,
    TaskTagsView,
    TaskViewSet,
)


class RestConverter:
    """The rest of the path, whatever it holds: a tag may have slashes and line breaks."""

    regex = "(?s:.+)"

    def to_python(self, value: str) -> str:
        """Take it as it is."""
        return value

    def to_url(self, value: str) -> str:
        """Give it as it is; Django encodes it."""
        return value


register_converter(RestConverter, "rest")

LIFECYCLE = {
    "start": "start",
    "complete": "complete",
    "pause": "pause",
    "cancel": "cancel",
    "reopen": "reopen",
    "archive": "archive",
    "restore": "restore",
    "fix-actual": "fix_actual",
}

urlpatterns = [
    path("tasks", TaskViewSet.as_view({"get": "list", "post": "create"}), name="task-list"),
    path("tasks/by-ids", TaskViewSet.as_view({"get": "by_ids"}), name="task-by-ids"),
    path("tasks/executable", TaskViewSet.as_view({"get": "executable"}), name="task-executable"),
    *(
        path(f"tasks/bulk/{name}", BulkView.as_view(operation=name), name=f"task-bulk-{name}")
        for name in BULK_CHANGES
    ),
    path(
        "tasks/<str:task_id>",
        TaskViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
        name="task-detail",
    ),
    *(
        path(
            f"tasks/<str:task_id>/{name}",
            LifecycleViewSet.as_view({"post": action}),
            name=f"task-{name}",
        )
        for name, action in LIFECYCLE.items()
    ),
    path("tasks/<str:task_id>/notes", NotesView.as_view(), name="task-notes"),
    path("tasks/<str:task_id>/tags", TaskTagsView.as_view(), name="task-tags"),
    path("tasks/<str:task_id>/dependencies", DependenciesView.as_view(), name="dependency-list"),
    path(
        "tasks/<str:task_id>/dependencies/<str:depends_on_id>",
        DependencyView.as_view(),
        name="dependency-detail",
    ),
    # A tag may be called "statistics", so that path deletes as well.
    path(
        "tags/statistics",
        TagViewSet.as_view({"get": "statistics", "delete": "destroy"}),
        {"tag_name": "statistics"},
        name="tag-statistics",
    ),
    path("tags/<rest:tag_name>", TagViewSet.as_view({"delete": "destroy"}), name="tag-detail"),
]
