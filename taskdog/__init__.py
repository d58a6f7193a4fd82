"""
taskdog: a task server over HTTP, and the site that shows ``backups`` at work.

Settings, authentication by API key and gunicorn's configuration live here; the task domain is in
``taskdog.tasks``, the record of who changed what in ``taskdog.audit``.
"""

from backups.which_sqlite import use_pysqlite3
from taskdog import environment

__version__ = "0.1.0"

# Here, since nothing of this site is imported before its package, and nothing has imported sqlite3.
if environment.choice("TASKDOG_SQLITE", ("newest", "system"), default="newest") == "newest":
    use_pysqlite3()
