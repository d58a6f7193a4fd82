"""Scheduled backups: when one is due, what a run does, and which process starts it."""
