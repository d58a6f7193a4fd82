"""Tell people how the backups do."""
