"""``manage.py backup_keys``: ``api_keys``, where the project has its own."""

from backups.management.commands.api_keys import ApiKeys as Command

__all__ = ["Command"]
