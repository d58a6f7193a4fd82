"""Tests of the app and of the site. They work with the SQLite that the site works with."""

import taskdog  # noqa: F401 - before anything imports sqlite3
