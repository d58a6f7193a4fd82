"""
taskdog: a task server over HTTP, and the site that shows ``backups`` at work.

Settings, authentication by API key and gunicorn's configuration live here; the task domain is in
``taskdog.tasks``, the record of who changed what in ``taskdog.audit``.
"""

__version__ = "0.1.0"
