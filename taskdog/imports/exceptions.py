"""
Why a database is not imported. The store is as it was before.

    RuleError
    └── ImportRefusedError
        ├── UnusableSourceError   it can't be read whole, or is not of taskdog's own server
        ├── NewerRevisionError    that server's schema has gone on since this release
        └── StoreNotReadyError    this site's store has rows already, or no tables yet
"""

from taskdog.exceptions import RuleError


class ImportRefusedError(RuleError):
    """Nothing was imported; the text says why, and what to do."""


class UnusableSourceError(ImportRefusedError):
    """The file can't be read whole, or is not a database of taskdog's own server."""


class NewerRevisionError(ImportRefusedError):
    """The database has a revision that this release does not know."""


class StoreNotReadyError(ImportRefusedError):
    """This site's store has rows already, or no tables yet."""
