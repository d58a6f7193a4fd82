"""What a child writes to report that it runs, before it does any work."""

STARTED = b"started\n"
