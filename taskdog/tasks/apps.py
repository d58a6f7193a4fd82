"""The task domain as a Django app."""

from django.apps import AppConfig


class TasksConfig(AppConfig):
    """Tasks with their notes, tags, dependencies and daily allocations."""

    name = "taskdog.tasks"
    label = "tasks"
