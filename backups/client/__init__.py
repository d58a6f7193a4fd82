"""The client of a remote server. Knows no Django, so any script can use it."""

from backups.client.client import BackupClient

__all__ = ["BackupClient"]
