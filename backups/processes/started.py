"""What a child reports of its start, before it does any work."""

STARTED = b"started\n"
NOT_STARTED = 127  # the exit code of one that can't become another program, as of a shell
