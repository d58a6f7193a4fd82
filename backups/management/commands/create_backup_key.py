"""``manage.py create_backup_key``: ``create_api_key``, where the project has its own."""

from backups.management.commands.create_api_key import CreateApiKey as Command

__all__ = ["Command"]
