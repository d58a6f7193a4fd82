"""Whose snapshot it is: this site's, an older or a richer one's, or another project's."""

import contextlib
import sqlite3
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db.migrations.operations import RunSQL
from django.test import override_settings

from backups.exceptions import (
    ForeignDatabaseError,
    InconsistentHistoryError,
    MissingTablesError,
    NewerSnapshotError,
    UnknownSchemaError,
)
from backups.site.django_site import DjangoSite
from backups.site.migrations import _sqls, words_of
from backups.sqlite.format.schema import Program
from backups.sqlite.site import Found, Live

RELEASE = DjangoSite("default")
DJANGO = ["contenttypes.0001_initial", "contenttypes.0002_remove_content_type_name"]
SHOP = [*DJANGO, "shop.0001_initial", "shop.0002_note"]
ITEMS = {"shop_item": {"id", "name"}, "django_content_type": {"id", "app_label", "model"}}

CREATE = (
    "migrations.CreateModel('Item', [('id', models.AutoField(primary_key=True)),"
    " ('name', models.TextField())])"
)
ADD = "migrations.AddField('item', 'note', models.TextField(default=''))"
HEADER = "from django.db import migrations, models\n\nclass Migration(migrations.Migration):\n"

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """A project with an app of its own, ``shop``; write its migrations."""
    migrations = tmp_path / "shop" / "migrations"
    migrations.mkdir(parents=True)
    for package in (migrations.parent, migrations):
        (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write_migrations(**bodies: tuple[str, str]) -> None:
        for name in [name for name in sys.modules if name.split(".")[0] == "shop"]:
            del sys.modules[name]  # another test's, or what it was before
        for name, (depends, operations) in bodies.items():
            needs = f"[('shop', {depends!r})]" if depends else "[]"
            body = f"dependencies = {needs}\noperations = [{operations}]\n"
            (migrations / f"{name[1:]}.py").write_text(HEADER + textwrap.indent(body, "    "))

    write_migrations(_0001_initial=("", CREATE), _0002_note=("0001_initial", ADD))
    with override_settings(INSTALLED_APPS=["django.contrib.contenttypes", "shop"]):
        yield write_migrations


def found(applied: list[str], *programs: Program, **tables: set[str]) -> Found:
    return Found(applied, tables or ITEMS, programs)


def live(applied: list[str], *programs: Program, **tables: set[str]) -> Live:
    return Live(frozenset(applied), frozenset(programs), tables or ITEMS)


# An app that is gone


@pytest.mark.usefixtures("write")
@pytest.mark.parametrize("now", [Live(), live(SHOP), live([*SHOP, "old.0001_initial"])])
def test_app_that_is_not_installed_is_a_warning_that_names_it_and_its_tables(now: Live) -> None:
    has = found([*SHOP, "old.0001_initial"], old_toy={"id"}, old_box={"id"}, older={"id"})
    (warning,) = RELEASE.check_origin(has, now, accept=())
    assert "the app old, which is not installed here: its tables old_box, old_toy stay" in warning
    assert RELEASE.unknown(has.migrations) == ("old.0001_initial",)


@pytest.mark.usefixtures("write")
def test_app_that_is_gone_with_its_tables_is_a_warning_too() -> None:
    (warning,) = RELEASE.check_origin(found([*SHOP, "old.0001_initial"]), Live(), accept=())
    assert "its migrations stay" in warning


@pytest.mark.usefixtures("write")
def test_of_many_apps_that_are_not_installed_a_few_are_named() -> None:
    has = found([*SHOP, *(f"old{number}.0001_initial" for number in range(1_005))])
    *named, others = RELEASE.check_origin(has, Live(), accept=())
    assert [f"the app old{number}," in words for number, words in enumerate(named)] == [True] * 5
    assert others == "1,000 more apps of the snapshot are not installed here."


@pytest.mark.usefixtures("write")
def test_each_of_very_many_migrations_is_looked_at_once() -> None:
    """Compared with each other, they would take minutes."""
    many = [f"old.{number}" for number in range(100_000)]
    has = found([*SHOP, *many])
    (warning,) = RELEASE.check_origin(has, Live(), accept=())
    assert "the app old" in warning
    RELEASE.check_known(has.migrations, has.migrations)


@pytest.mark.usefixtures("write")
def test_later_migration_of_an_installed_app_is_of_a_newer_release() -> None:
    has = found([*SHOP, "shop.0003_price", "new.0001_initial"])
    with pytest.raises(NewerSnapshotError, match=r"the migration shop\.0003_price\."):
        RELEASE.check_origin(has, live(SHOP), accept=("foreign", "defects"))
    mine = found([*SHOP, "shop.0003_price"])  # as after a return to an older release
    assert RELEASE.check_origin(mine, live([*has.migrations]), accept=())


def test_migration_whose_file_was_removed_before_a_later_one_is_a_warning(write: Write) -> None:
    write(_0007_last=("0002_note", ""))
    has = found([*SHOP, "shop.0003_gone", "shop.0007_last"])
    (warning,) = RELEASE.check_origin(has, Live(), accept=())
    assert "shop.0003_gone, which this release does not have" in warning
    with pytest.raises(NewerSnapshotError, match="0003_gone"):
        RELEASE.check_origin(found([*SHOP, "shop.0003_gone"]), Live(), accept=())


# Another project


@pytest.mark.usefixtures("write")
def test_database_with_nothing_of_this_project_is_refused_unless_that_is_typed_out() -> None:
    with pytest.raises(ForeignDatabaseError, match=r"own apps \(shop\) are in the file") as caught:
        RELEASE.check_origin(found(DJANGO), live(SHOP), accept=("defects",))
    assert "would need 2 migrations, which would create the tables of these apps, empty" in str(
        caught.value
    )
    assert "--accept-foreign" in caught.value.hint
    assert RELEASE.check_origin(found(DJANGO), live(SHOP), accept=("foreign",))


@pytest.mark.usefixtures("write")
def test_another_projects_database_is_told_as_that_and_not_as_newer() -> None:
    has = found([*DJANGO, "blog.0001_initial", "blog.0002_tags"])
    with pytest.raises(ForeignDatabaseError, match="the app blog, which is not installed"):
        RELEASE.check_origin(has, live(SHOP), accept=())


@pytest.mark.usefixtures("write")
def test_backup_from_before_the_projects_first_own_migration_goes_back() -> None:
    (warning,) = RELEASE.check_origin(found(DJANGO), live(DJANGO), accept=())
    assert "None of this project's own apps (shop)" in warning
    with pytest.raises(ForeignDatabaseError):
        RELEASE.check_origin(found(DJANGO), Live(), accept=())


@override_settings(INSTALLED_APPS=["django.contrib.contenttypes"])
def test_project_without_apps_of_its_own_can_tell_nothing() -> None:
    assert RELEASE.check_origin(found(DJANGO), live(DJANGO), accept=()) == ()


# A history that Django refuses


def test_history_that_migrate_refuses_is_refused_only_if_it_has_to_run(write: Write) -> None:
    broken = [*DJANGO, "shop.0002_note"]
    with pytest.raises(InconsistentHistoryError, match="0002_note is applied in it before") as it:
        RELEASE.plan(broken)
    assert "needs 1 migration, " in str(it.value)
    write(_0002_note=("0001_initial", ADD), _0003_more=("0002_note", ""))
    with pytest.raises(InconsistentHistoryError, match=r"before shop\.0001_initial, which"):
        RELEASE.plan(broken)
    assert RELEASE.plan(SHOP) == ("shop.0003_more",)
    assert RELEASE.plan([*SHOP, "shop.0003_more"]) == ()


def test_conflict_of_the_code_is_told_while_staging(write: Write) -> None:
    write(_0002_other=("0001_initial", ""))
    with pytest.raises(InconsistentHistoryError, match="shop has more than one last migration"):
        RELEASE.plan(SHOP)


# Tables that SQL of the project's own makes

FTS = Program("virtual table", "Shop_Item", "CREATE VIRTUAL TABLE Shop_Item USING fts5(name)")
REST = {"django_content_type": {"id", "app_label", "model"}, "shop_item_data": {"id"}}


@pytest.mark.usefixtures("write")
@pytest.mark.parametrize("now", [live(SHOP, FTS, **REST), Live()])
@pytest.mark.parametrize("kind", ["virtual table", "view"])
def test_model_over_a_virtual_table_or_a_view_is_kept_promise(now: Live, kind: str) -> None:
    program = Program(kind, FTS.name, FTS.sql)
    RELEASE.check_tables(found(SHOP, program, **REST), now)
    with pytest.raises(MissingTablesError, match="the table shop_item, which"):
        RELEASE.check_tables(found(SHOP, Program("trigger", FTS.name, ""), **REST), Live())


@pytest.mark.usefixtures("write")
def test_promise_that_the_live_database_breaks_too_is_none() -> None:
    RELEASE.check_tables(found(SHOP, **REST), live(SHOP, **REST))
    narrow = {"shop_item": {"id"}, **REST}
    RELEASE.check_tables(found(SHOP, **narrow), live(SHOP, **narrow))
    with pytest.raises(MissingTablesError, match="lacks the column name"):
        RELEASE.check_tables(found(SHOP, **narrow), live(SHOP, **ITEMS))


@pytest.mark.usefixtures("write")
def test_live_database_that_has_promised_nothing_yet_excuses_nothing() -> None:
    with pytest.raises(MissingTablesError, match="the table shop_item, which"):
        RELEASE.check_tables(found(SHOP, **REST), live(DJANGO, **REST))


def test_what_django_is_only_told_of_is_not_asked_for(write: Write) -> None:
    split = "migrations.SeparateDatabaseAndState(state_operations=[{}])"
    write(_0001_initial=("", CREATE), _0002_note=("0001_initial", split.format(ADD)))
    RELEASE.check_tables(found(SHOP), Live())
    with pytest.raises(MissingTablesError):
        RELEASE.check_tables(found(SHOP, **REST), Live())
    write(_0001_initial=("", split.format(CREATE)), _0002_note=("0001_initial", ""))
    RELEASE.check_tables(found(SHOP, **REST), Live())


@pytest.mark.usefixtures("write")
def test_of_a_file_that_was_judged_only_what_is_new_is_asked_for() -> None:
    RELEASE.check_tables(found(SHOP[:3], **REST), Live(), judged=SHOP[:3])
    with pytest.raises(MissingTablesError, match="the table shop_item, which"):
        RELEASE.check_tables(found(SHOP, **REST), Live(), judged=SHOP[:3])


# Programs that a later migration changes

OLD = Program(
    "trigger", "stamp", "CREATE TRIGGER stamp AFTER INSERT ON shop_item BEGIN SELECT 1; END"
)
NEW = Program("trigger", "stamp", OLD.sql.replace("1", "2"))


def test_trigger_of_a_migration_of_this_site_may_be_what_a_later_one_changes(write: Write) -> None:
    sql = OLD.sql.replace("CREATE TRIGGER", "create  trigger IF NOT EXISTS")
    write(
        _0001_initial=("", f"{CREATE}, migrations.RunSQL('{sql};')"),
        _0002_note=(
            "0001_initial",
            "migrations.RunSQL(['DROP TRIGGER stamp', ('" + NEW.sql + "', None)])",
        ),
    )
    now = live(SHOP, NEW)
    assert RELEASE.check_programs([OLD], now, applied=SHOP[:3]) == ((), (OLD,))
    with pytest.raises(UnknownSchemaError, match="trigger stamp"):
        RELEASE.check_programs([OLD], now, applied=SHOP)
    strange = Program("trigger", "stamp", OLD.sql.replace("SELECT 1", "DELETE FROM auth_user"))
    with pytest.raises(UnknownSchemaError, match="trigger stamp"):
        RELEASE.check_programs([strange], now, applied=SHOP[:3])


@pytest.mark.usefixtures("write")
def test_view_that_the_live_database_has_in_other_words_may_be_changed_by_a_migration() -> None:
    old, new = Program("view", "v", "CREATE VIEW v AS SELECT 1"), Program("view", "V", "other")
    assert RELEASE.check_programs([old], live(SHOP, new), applied=SHOP[:3]) == ((), (old,))
    with pytest.raises(UnknownSchemaError, match="view v"):
        RELEASE.check_programs([old], live(SHOP), applied=SHOP[:3])


def stored(sql: str) -> str:
    """What SQLite keeps of it."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute(sql)
        return str(
            connection.execute("SELECT sql FROM sqlite_master WHERE name = 'g'").fetchone()[0]
        )


@pytest.mark.parametrize(
    "sql",
    [
        "create trigger if not exists\n g  AFTER INSERT ON t WHEN 'A  b' BEGIN SELECT 1;\nEND;",
        "CREATE TRIGGER main.g AFTER INSERT ON t BEGIN SELECT 1; -- why\nSELECT 2; END",
        "CREATE VIEW IF NOT EXISTS g AS\n  SELECT 1 ;\n",
    ],
)
def test_statement_has_the_words_that_sqlite_keeps_of_it(sql: str) -> None:
    assert words_of(sql) == words_of(stored(sql))


@pytest.mark.parametrize(
    ("of_the_site", "of_a_stranger"),
    [
        ("BEGIN SELECT 1; -- no DELETE FROM t;\nEND", "BEGIN SELECT 1; -- no\nDELETE FROM t;\nEND"),
        ("WHEN new.a <> 'Admin' BEGIN SELECT 1; END", "WHEN new.a <> 'admin' BEGIN SELECT 1; END"),
        ("WHEN new.a <> 'a b' BEGIN SELECT 1; END", "WHEN new.a <> 'a  b' BEGIN SELECT 1; END"),
    ],
)
def test_trigger_that_only_looks_like_one_of_this_site_has_other_words(
    of_the_site: str, of_a_stranger: str
) -> None:
    head = "CREATE TRIGGER g AFTER INSERT ON t "

    assert words_of(head + of_the_site) != words_of(head + of_a_stranger)


def test_each_statement_of_a_text_counts_as_django_runs_it() -> None:
    trigger = "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END"
    text = f"CREATE INDEX i ON t (a); {trigger}; CREATE VIEW v AS SELECT 1;"

    assert words_of(trigger) in set(map(words_of, _sqls(RunSQL(text, RunSQL.noop))))
