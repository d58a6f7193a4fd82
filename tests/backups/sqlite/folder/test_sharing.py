"""Files beside the database, shared with those who may write it."""

import os
from contextlib import closing

from backups.sqlite.folder import ownership, sharing
from backups.sqlite.format.connection import connect
from backups.sqlite.locking.lock_file import open_lock
from backups.sqlite.records.sent_snapshots import record_sent
from tests.backups import builders
from tests.backups.sqlite.folder.test_ownership import GROUP, IS_ROOT, as_another
from tests.backups.stores import Store


def test_member_of_the_group_shares_all_that_is_made(store: Store) -> None:
    if IS_ROOT:
        os.chown(store.database, 0, GROUP)
    store.database.chmod(0o664)
    files = [store.paths.lock, store.paths.sent, *store.paths.sidecars[:2]]

    def use() -> list[list[object]]:
        os.umask(0o077)
        ownership.check_user(store.paths)
        os.close(open_lock(store.paths.lock, owner_of=store.database))
        record_sent(store.paths, sha256="a" * 64, size=1)
        with closing(connect(store.database)) as connection:
            builders.add(connection, "of a member")
            sharing.share_sidecars(str(store.database))
            return [[path.stat().st_gid, path.stat().st_mode & 0o660] for path in files]

    assert as_another(use) == [[GROUP, 0o660]] * len(files)


def test_file_of_its_owner_alone_is_not_shared(store: Store) -> None:
    store.database.chmod(0o644)
    made = store.paths.beside(".made")
    made.touch(0o600)
    sharing.share(str(made), os.stat(store.database))
    assert made.stat().st_mode & 0o777 == 0o600
    store.database.chmod(0o666)
    sharing.share(str(made), os.stat(store.database))
    assert made.stat().st_mode & 0o777 == 0o666
