"""
How much memory a check of an upload may take: all limits on it follow from this number.

It counts address space beyond what the process uses for Python and the site's code when it begins.
Several processes share the check of a large upload: the first may take all of this, and all others
together as much again. So all uploads together take at most 2 × BACKUPS_UPLOADS_AT_ONCE times this.
To compare a row with its index, SQLite needs the row twice, and some 40 MiB more: the default
allows rows of nearly 500 MB. If another process runs out of memory, the first does its parts.
"""

LEAST = 128 * 1024**2  # bytes; with less, a whole snapshot with some thousand tables is refused
DEFAULT = 1024**3  # bytes, 1 GiB

most = DEFAULT  # bytes, for the first process of a check; set from BACKUPS_CHECK_MEMORY_BYTES
