"""Stored snapshots: whole backups in a storage, and what is done with them."""
