"""URLs of the tasks, under ``api/v1/``. An id is checked by its view: a wrong one is a 422."""

from django.urls import path

from taskdog.tasks.views import (
    DependenciesView,
    DependencyView,
    NotesView,
    TagsView,
    TaskViewSet,
)

urlpatterns = [
    path("tasks", TaskViewSet.as_view({"get": "list", "post": "create"}), name="task-list"),
    path(
        "tasks/<str:task_id>",
        TaskViewSet.as_view({"get": "retrieve", "delete": "destroy"}),
        name="task-detail",
    ),
    path("tasks/<str:task_id>/notes", NotesView.as_view(), name="task-notes"),
    path("tasks/<str:task_id>/tags", TagsView.as_view(), name="task-tags"),
    path("tasks/<str:task_id>/dependencies", DependenciesView.as_view(), name="dependency-list"),
    path(
        "tasks/<str:task_id>/dependencies/<str:depends_on_id>",
        DependencyView.as_view(),
        name="dependency-detail",
    ),
]
