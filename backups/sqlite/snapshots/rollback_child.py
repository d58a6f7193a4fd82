"""
Copy the pages of a database that is not in WAL mode. Runs as a separate process.

Answers with one JSON object: for how many seconds writers had to wait, or why there is no copy.
"""

import json
import sqlite3

from backups.processes.spawn import answering
from backups.sqlite.snapshots.page_reader import ImpossibleError
from backups.sqlite.snapshots.rollback_reader import copy_pages


def main(uri: str, database: str, descriptor: str) -> None:
    """
    Copy them into an empty file that this process has inherited as ``descriptor``.

    :param uri: of the database, for SQLite.
    :param database: the path of its real file.
    """
    with answering() as answer:
        try:
            said: dict[str, object] = {"seconds": copy_pages(uri, database, int(descriptor))[0]}
        except (ImpossibleError, sqlite3.Error, OSError) as error:
            said = {"impossible": str(error)}
        answer.write(json.dumps(said))
