"""The client of a remote server. Does not import Django, so any script can use it."""

from backups.client.client import BackupClient

__all__ = ["BackupClient"]
