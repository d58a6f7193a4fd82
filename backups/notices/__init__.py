"""Notices of how the backups are doing: by mail, by a webhook, and to a monitor."""
