"""The word with which a child says that it runs, before it does any work."""

STARTED = b"started\n"
