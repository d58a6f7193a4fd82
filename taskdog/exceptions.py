"""
What the domains refuse. They know nothing of HTTP; ``taskdog.errors`` gives each its status.

    TaskdogError
    ├── NotFoundError           there is nothing under that id
    └── RuleError               the request is understood, and a rule of the domain forbids it
        └── InvalidFilterError  a list was asked for that cannot be
"""


class TaskdogError(Exception):
    """Base of the errors that a caller can do something about; the text is for the caller."""


class NotFoundError(TaskdogError):
    """There is nothing under that id."""


class RuleError(TaskdogError):
    """A rule of the domain forbids it."""


class InvalidFilterError(RuleError):
    """A list was asked for that cannot be."""
