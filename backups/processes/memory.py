"""
How much memory a check of an upload may take: the one number, from which all limits on it follow.

It is address space beyond what the process has when it begins, Python and the site's own code. An
upload is checked by one process, or by two from 128 MiB on, so BACKUPS_UPLOADS_AT_ONCE uploads take
at most twice that many times this. To compare a row with its index SQLite needs it twice, and some
40 MiB besides: the default lets rows of nearly 500 MB through.
"""

LEAST = 128 * 1024**2  # bytes; with less, a whole snapshot with some thousand tables is refused
DEFAULT = 1024**3  # bytes, 1 GiB

most = DEFAULT  # for each process of a check; the site's settings set it
