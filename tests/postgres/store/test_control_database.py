"""The control database: made once, by whoever comes first, and never in place of another's."""

import psycopg
import pytest

from backups.exceptions import BackupNotSupportedError
from backups.postgres.names import Names
from tests.postgres.stores import Store, make_content

pytestmark = pytest.mark.postgres


def test_one_whose_maker_was_killed_is_finished(store: Store) -> None:
    store.server.admin(f"CREATE DATABASE {store.names.control} OWNER site")
    assert store.receipts() == []
    store.stage(store.snapshot())
    assert store.outcomes() == ["staged"]


def test_a_database_of_that_name_with_tables_is_left_alone(store: Store) -> None:
    make_content(store, "another", store.names.control)
    with pytest.raises(BackupNotSupportedError, match="has tables of its own"):
        store.stage(b"PGDMP")
    with psycopg.connect(store.server.conninfo(store.names.control)) as connection:
        assert connection.execute("SELECT to_regnamespace('backups')").fetchone() == (None,)


def test_it_holds_any_name_whatever_the_encoding_of_the_server(store: Store) -> None:
    latin = "TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
    provider = " LOCALE_PROVIDER libc" if store.server.version >= 15 else ""
    store.server.admin("ALTER DATABASE template1 RENAME TO template_of_the_server")
    try:
        store.server.admin(f"CREATE DATABASE template1 {latin}{provider} IS_TEMPLATE true")
        store.stage(store.snapshot(), staged_by="Łukasz")
    finally:
        store.server.admin("ALTER DATABASE template1 IS_TEMPLATE false")
        store.server.admin("DROP DATABASE template1")
        store.server.admin("ALTER DATABASE template_of_the_server RENAME TO template1")
    assert store.receipts()[0].staged_by == "Łukasz"


@pytest.mark.parametrize(
    "ending", ["incoming_0badcafe", "pending_restore", "pre_restore_20260101-000000"]
)
def test_the_live_database_of_another_site_is_never_taken_for_ours(
    store: Store, ending: str
) -> None:
    other = Store(store.server, f"{store.names.stem}_{ending}", store.folder)
    make_content(other, "another")
    for each in (store, other):
        each.real.hold_presence()
        each.real.release_presence()
    store.kept_copies = 1
    assert store.start() is None
    assert store.real.list_kept_copies() == []
    assert other.label() == "another"
    assert Names(other.database).control in other.databases()


def test_any_text_can_be_recorded(store: Store) -> None:
    texts = {"half": "b\udcff", "nul": "a\0b", "words": r"a NUL character (\u0000)", "all": "\\\0é"}
    store.real.record_backup(texts)
    (found,) = store.real.list_backup_receipts()
    assert found == texts | {"half": "b?", "nul": "a?b", "all": "\\?é"}
