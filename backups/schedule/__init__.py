"""Backups that take themselves: when they are due, what a run does, and which process starts it."""
