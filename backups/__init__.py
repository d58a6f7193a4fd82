"""
Backups for Django on SQLite: take a snapshot while the site writes, put one back safely.

``GET backup`` sends a snapshot; ``POST restore`` checks one and stages it; the next start
applies it, and keeps the database that was live before. ``manage.py backup`` and
``manage.py restore_db`` do the same from a shell, here or on a remote server.

This module imports nothing, so that ``backups.client.client`` works where Django is not installed.
How a restore works, and what survives a crash at each step: docs/how-restore-works.md.
"""

__version__ = "0.1.0"

# What other code may import. Everything else may change in any release.
PUBLIC = (
    # What a project needs.
    "backups.api.authentication",
    "backups.api.permissions",
    "backups.asgi",
    "backups.client",
    "backups.conf",
    "backups.exceptions",
    "backups.services",
    "backups.signals",
    "backups.store",
    "backups.which_sqlite",
    # The parts of the HTTP API, for a site that describes it or limits other requests as it does.
    "backups.api.body_limit",
    "backups.api.errors",
    "backups.api.pace",
    "backups.api.parsers",
    "backups.api.query",
    "backups.api.serializers",
    # Keys and failed logins, for a site that handles its own in the same way.
    "backups.keys.addresses",
    "backups.keys.api_keys",
    "backups.keys.attempts",
    # For the commands of a site.
    "backups.management.base",
    "backups.management.commands.create_api_key",
    # Files that appear whole, and that only their owner can read.
    "backups.disk.atomic_file",
    "backups.disk.attributes",
    "backups.disk.files",
    "backups.disk.private_files",
    # For reading an untrusted database in a separate process.
    "backups.processes.spawn",
    "backups.site.query_limit",
    "backups.sqlite.checking.findings",
    "backups.sqlite.checking.messages",
    "backups.sqlite.checking.pragmas",
    "backups.sqlite.checking.sandbox",
    "backups.sqlite.format.connection",
    "backups.sqlite.format.schema",
)
