"""``manage.py backup_db``: the same as ``backup``, where the project has a command called that."""

from backups.management.commands.backup import BackupCommand as Command

__all__ = ["Command"]
