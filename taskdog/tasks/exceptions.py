"""
What the task domain refuses, worded as the clients expect it.

    NotFoundError
    └── TaskNotFoundError
    RuleError
    ├── InvalidTaskError         the task itself would be wrong
    ├── InvalidTagsError         its tags would be
    ├── InvalidDependencyError   it cannot depend, or does not, on that other task
    └── InvalidFilterError       a list was asked for that cannot be
"""

from taskdog.exceptions import NotFoundError, RuleError


class TaskNotFoundError(NotFoundError):
    """There is no task with that id."""

    def __init__(self, task_id: int) -> None:
        super().__init__(f"Task with ID {task_id} not found")


class InvalidTaskError(RuleError):
    """The task itself would be wrong."""


class InvalidTagsError(RuleError):
    """The tags of a task would be wrong."""


class InvalidDependencyError(RuleError):
    """A task cannot depend, or does not, on that other task."""


class InvalidFilterError(RuleError):
    """A list was asked for that cannot be."""
