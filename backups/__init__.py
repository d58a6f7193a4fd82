"""
Backups for Django on SQLite or PostgreSQL: take a snapshot while the site writes, put one back.

``GET backup`` sends a snapshot; ``POST restore`` checks one and stages it; the next start
applies it, and keeps the database that was live before. ``manage.py backup`` and
``manage.py restore_db`` do the same from a shell, here or on a remote server.

This module imports nothing, so that ``backups.client.client`` works where Django is not installed.
How a restore works, and what survives a crash at each step: docs/how-restore-works.md.
"""

__version__ = "0.1.0"
