"""
What the task domain refuses, worded as the clients expect it.

    NotFoundError
    ├── TaskNotFoundError
    └── TagNotFoundError
    RuleError
    ├── InvalidTaskError         the task itself would be wrong
    ├── InvalidTagsError         its tags would be
    ├── InvalidStatusError       it cannot come from where it is to where it shall be
    ├── ArchivedTaskError        it is archived, and so read-only
    └── InvalidDependencyError   it cannot depend, or does not, on that other task
"""

from taskdog.exceptions import NotFoundError, RuleError


class TaskNotFoundError(NotFoundError):
    """There is no task with that id."""

    def __init__(self, task_id: int) -> None:
        super().__init__(f"Task with ID {task_id} not found")


class TagNotFoundError(NotFoundError):
    """There is no tag of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Tag '{name}' not found")


class InvalidTaskError(RuleError):
    """The task itself would be wrong."""


class InvalidTagsError(RuleError):
    """The tags of a task would be wrong."""


class InvalidStatusError(RuleError):
    """A task cannot come from where it is to where it shall be."""


class ArchivedTaskError(RuleError):
    """The task is archived, and so read-only."""

    def __init__(self, task_id: int) -> None:
        super().__init__(
            f"Task {task_id} is archived and cannot be changed. "
            f"Restore it first with 'taskdog restore {task_id}'"
        )


class InvalidDependencyError(RuleError):
    """A task cannot depend, or does not, on that other task."""
