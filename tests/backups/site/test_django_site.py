"""What Django's migrations say of a snapshot: known, whole, and what is still to run."""

import sqlite3
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import md5
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.apps import apps
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connections, models
from django.test import override_settings
from django.test.utils import isolate_apps
from pytest_django import Settings

from backups.exceptions import (
    InvalidSnapshotError,
    MissingTablesError,
    NewerSnapshotError,
    UnknownSchemaError,
)
from backups.site.django_site import DjangoSite
from backups.sqlite.format.schema import Program
from backups.sqlite.site import Found, Live
from tests.backups import builders
from tests.site import Site

RELEASE = DjangoSite("default")


@pytest.fixture
def applied(template_site: Site) -> list[str]:
    """Every migration of a site of this release."""
    with closing(sqlite3.connect(template_site.database)) as connection:
        rows = connection.execute("SELECT app, name FROM django_migrations ORDER BY id")
        return [f"{app}.{name}" for app, name in rows]


Tables = dict[str, frozenset[str]]  # with their columns


@pytest.fixture
def tables(template_site: Site) -> Tables:
    with closing(sqlite3.connect(template_site.database)) as connection:
        names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        return {
            name: frozenset(row[1] for row in connection.execute(f"PRAGMA table_xinfo({name})"))
            for (name,) in names.fetchall()
        }


def without(tables: Tables, *names: str) -> Tables:
    return {name: columns for name, columns in tables.items() if name not in names}


def test_snapshot_of_this_release_is_known_whole_and_needs_nothing(
    applied: list[str], tables: Tables
) -> None:
    RELEASE.check_known(applied, ())
    RELEASE.check_tables(Found(applied, tables), Live())
    assert RELEASE.plan(applied) == ()


def test_older_snapshot_needs_what_it_lacks_in_order(applied: list[str], tables: Tables) -> None:
    older = [name for name in applied if not name.startswith(("auth.0012", "tasks.", "audit."))]
    plan = RELEASE.plan(older)
    assert sorted(plan) == sorted(set(applied) - set(older))
    RELEASE.check_known(older, ())
    RELEASE.check_tables(Found(older, without(tables, "tasks", "notes", "audit_logs")), Live())


def test_empty_database_needs_everything_and_each_after_what_it_depends_on(
    applied: list[str],
) -> None:
    plan = RELEASE.plan([])
    assert sorted(plan) == sorted(applied)
    assert plan.index("contenttypes.0001_initial") < plan.index("auth.0001_initial")
    assert plan.index("auth.0001_initial") < plan.index(
        "auth.0002_alter_permission_name_max_length"
    )


def test_newer_snapshot_is_refused_naming_what_is_unknown(applied: list[str]) -> None:
    with pytest.raises(NewerSnapshotError, match=r"know the migration tasks\.0099_future\."):
        RELEASE.check_known([*applied, "tasks.0099_future"], ())


def test_of_many_unknown_migrations_a_few_are_named(applied: list[str]) -> None:
    future = [f"tasks.{number}_future" for number in range(9990, 9998)]
    with pytest.raises(NewerSnapshotError, match=r"migrations .*9994_future and 3 more\."):
        RELEASE.check_known([*applied, *future], ())


def test_migration_of_an_app_that_was_taken_out_is_known_if_the_live_database_had_it(
    applied: list[str],
) -> None:
    RELEASE.check_known([*applied, "gone.0001_initial"], ["gone.0001_initial"])
    assert RELEASE.plan([*applied, "gone.0001_initial"]) == ()


def test_snapshot_without_a_promised_table_is_refused_naming_it(
    applied: list[str], tables: Tables
) -> None:
    with pytest.raises(MissingTablesError, match="the table tasks, which"):
        RELEASE.check_tables(Found(applied, without(tables, "tasks")), Live())
    with pytest.raises(MissingTablesError, match=r"the tables auth_group, .*tasks"):
        RELEASE.check_tables(Found(applied, without(tables, "tasks", "auth_group")), Live())


def test_table_between_two_models_is_promised_too(applied: list[str], tables: Tables) -> None:
    with pytest.raises(MissingTablesError, match="auth_user_groups"):
        RELEASE.check_tables(Found(applied, without(tables, "auth_user_groups")), Live())


def test_no_database_is_read_to_tell_of_a_snapshot(applied: list[str], tables: Tables) -> None:
    """pytest-django fails a test that queries without having asked for the database."""
    RELEASE.check_known(applied, ())
    RELEASE.check_tables(Found(applied, tables), Live())
    RELEASE.plan(applied[:3])


# What the live database has


@pytest.fixture
def alias(tmp_path: Path) -> Iterator[str]:
    """Another database of this process, of which nothing is there yet."""
    settings: dict[str, Any] = connections["default"].settings_dict | {"NAME": tmp_path / "live.db"}
    connections.settings["live"] = settings
    yield "live"
    connections["live"].close()
    del connections["live"]
    del connections.settings["live"]


@pytest.mark.django_db(databases=["default"])
def test_history_is_what_the_live_database_has_applied(
    template_site: Site, alias: str, applied: list[str], tmp_path: Path, django_db_blocker: Any
) -> None:
    (tmp_path / "live.db").write_bytes(template_site.database.read_bytes())
    with closing(sqlite3.connect(tmp_path / "live.db")) as connection:
        connection.execute(
            "INSERT INTO django_migrations (app, name, applied)"
            " VALUES ('gone', '0001', '2020-13-01 00:00:00')"  # no date, and Django fails of it
        )
        connection.commit()
    with django_db_blocker.unblock():
        live = DjangoSite(alias).read_live()
    assert live == Live(frozenset({*applied, "gone.0001"}), frozenset())


@pytest.mark.parametrize("content", [None, b"", b"Dear diary" * 1000])
def test_nothing_is_known_of_a_database_that_cannot_tell(
    content: bytes | None, alias: str, tmp_path: Path, django_db_blocker: Any
) -> None:
    """Nor is it created, nor a WAL removed that is all that is left of it."""
    if content is not None:
        (tmp_path / "live.db").write_bytes(content)
    if not content:
        (tmp_path / "live.db-wal").write_bytes(b"all that is left")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with django_db_blocker.unblock():
        assert DjangoSite(alias).read_live() == Live()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_wal_of_a_ruined_database_is_not_touched(
    alias: str, tmp_path: Path, django_db_blocker: Any
) -> None:
    """Who restores has one: the next start has to find all that is left of it, and keep it."""
    builders.ruined(tmp_path / "live.db")
    before = builders.folder(tmp_path)
    with django_db_blocker.unblock():
        assert DjangoSite(alias).read_live() == Live()
    after = builders.folder(tmp_path)
    assert {name: after[name] for name in before} == before


@pytest.mark.django_db(databases=["default"])
def test_programs_of_the_live_database_are_known(
    template_site: Site, alias: str, tmp_path: Path, django_db_blocker: Any
) -> None:
    (tmp_path / "live.db").write_bytes(template_site.database.read_bytes())
    sql = "CREATE VIEW open_tasks AS SELECT * FROM tasks"
    with closing(sqlite3.connect(tmp_path / "live.db")) as connection:
        connection.execute(sql)
        connection.commit()
    with django_db_blocker.unblock():
        live = DjangoSite(alias).read_live()
    assert live.programs == frozenset({Program("view", "open_tasks", sql)})


# Columns


def test_snapshot_without_a_promised_column_is_refused_naming_it(
    applied: list[str], tables: Tables
) -> None:
    tables["tasks"] -= {"name"}
    with pytest.raises(MissingTablesError, match=r"its table tasks lacks the column name\."):
        RELEASE.check_tables(Found(applied, tables), Live())
    tables["tasks"] -= {"priority"}
    with pytest.raises(MissingTablesError, match=r"tasks lacks the columns name, priority\."):
        RELEASE.check_tables(Found(applied, tables), Live())


def test_columns_that_nobody_promised_are_no_matter(applied: list[str], tables: Tables) -> None:
    tables["tasks"] |= {"added_by_hand"}
    RELEASE.check_tables(Found(applied, tables), Live())


@pytest.mark.usefixtures("squashed")
def test_case_of_a_name_is_no_matter_as_it_is_to_sqlite(tmp_path: Path) -> None:
    code = tmp_path / "shelf" / "migrations" / "0001_book.py"
    shouted = code.read_text().replace(")])", ")], options={'db_table': 'BOOKS'})")
    code.write_text(shouted)
    RELEASE.check_tables(Found(["shelf.0001_book"], {"books": {"id"}}), Live())
    assert "BOOKS" in shouted
    with pytest.raises(MissingTablesError, match="the table BOOKS, which"):
        RELEASE.check_tables(Found(["shelf.0001_book"], {"shelf_book": {"id"}}), Live())


def test_columns_are_those_that_the_snapshot_s_own_migrations_make(
    applied: list[str], tables: Tables
) -> None:
    older = [name for name in applied if name.startswith(("contenttypes", "auth.0001"))]
    tables["django_content_type"] -= {
        "name"
    }  # which the first migration makes, and the second drops
    with pytest.raises(MissingTablesError, match="django_content_type lacks the column name"):
        RELEASE.check_tables(Found(older[:1], tables), Live())
    RELEASE.check_tables(Found(older, tables), Live())


class Elsewhere:
    """A router that keeps the tasks in another database."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if app_label == "tasks" else None


def test_tables_that_a_router_keeps_elsewhere_are_not_promised(
    applied: list[str], tables: Tables
) -> None:
    """Django records their migrations as applied here all the same."""
    with override_settings(DATABASE_ROUTERS=[Elsewhere()]):
        RELEASE.check_tables(
            Found(applied, without(tables, "tasks", "notes", "tags", "task_tags")), Live()
        )
        with pytest.raises(MissingTablesError):
            RELEASE.check_tables(Found(applied, without(tables, "audit_logs")), Live())


# Programs

VIEW = Program("view", "totals", "CREATE VIEW totals AS SELECT 1")
TRIGGER = Program(
    "trigger", "evil", "CREATE TRIGGER evil AFTER INSERT ON tasks BEGIN SELECT 1; END"
)


def test_program_that_the_live_database_has_too_passes() -> None:
    assert RELEASE.check_programs(
        [VIEW], Live(programs=frozenset({VIEW, TRIGGER})), applied=()
    ) == ((), ())


def test_program_that_the_live_database_has_not_is_refused_naming_it() -> None:
    with pytest.raises(UnknownSchemaError, match=r"has the trigger evil, view totals, which"):
        RELEASE.check_programs([VIEW, TRIGGER], Live(programs=frozenset()), applied=())
    other = replace(TRIGGER, sql=TRIGGER.sql.replace("SELECT 1", "DELETE FROM tasks"))
    with pytest.raises(UnknownSchemaError, match="trigger evil, which"):
        RELEASE.check_programs([other], Live(programs=frozenset({TRIGGER})), applied=())


def test_program_is_a_warning_where_the_live_database_cannot_tell() -> None:
    (warning,), changing = RELEASE.check_programs([TRIGGER], Live(), applied=())
    assert changing == ()
    assert "has the trigger evil." in warning
    assert RELEASE.check_programs([], Live(), applied=()) == ((), ())


def test_programs_pass_where_the_setting_says_so(settings: Settings) -> None:
    settings.BACKUPS_ALLOW_UNKNOWN_SCHEMA = True
    assert RELEASE.check_programs([TRIGGER], Live(programs=frozenset()), applied=()) == ((), ())


def test_name_of_a_program_is_shown_on_one_short_line() -> None:
    long = Program("view", "a\nb" + "x" * 10_000, "CREATE VIEW")
    with pytest.raises(UnknownSchemaError) as caught:
        RELEASE.check_programs([long], Live(programs=frozenset()), applied=())
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


# Sessions and accounts


@pytest.mark.parametrize(
    ("engine", "tables"),
    [
        ("django.contrib.sessions.backends.db", ("django_session",)),
        ("django.contrib.sessions.backends.cached_db", ("django_session",)),
        # A snapshot that was taken before the site changed its engine has rows all the same.
        ("django.contrib.sessions.backends.cache", ("django_session",)),
        ("django.contrib.sessions.backends.file", ("django_session",)),
        ("django.contrib.sessions.backends.signed_cookies", ("django_session",)),
        ("an.engine.that.is.gone", ("django_session",)),
    ],
)
def test_sessions_are_where_the_engine_keeps_them_or_another_one_did(
    engine: str, tables: tuple[str, ...], settings: Settings
) -> None:
    settings.SESSION_ENGINE = engine
    assert RELEASE.session_tables() == tables


@pytest.mark.parametrize(
    ("engine", "tables"),
    [("cached_db", ("django_session", "seen")), ("cache", ("django_session", "seen"))],
)
def test_sessions_in_a_cache_that_is_a_table_are_there_too(
    engine: str, tables: tuple[str, ...]
) -> None:
    cache = {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "seen"}
    with override_settings(
        SESSION_ENGINE=f"django.contrib.sessions.backends.{engine}",
        SESSION_CACHE_ALIAS="sessions",
        CACHES={
            "default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
            "sessions": cache,
        },
    ):
        assert RELEASE.session_tables() == tables


def test_sessions_are_kept_where_the_setting_says_so(settings: Settings) -> None:
    settings.BACKUPS_CLEAR_SESSIONS = False
    assert RELEASE.session_tables() == ()


def test_site_without_the_app_has_no_sessions() -> None:
    gone = RuntimeError("Model class Session doesn't declare an explicit app_label")
    with (
        mock.patch.object(SessionStore, "get_model_class", side_effect=gone),
        mock.patch.object(apps, "get_models", return_value=[]),
    ):
        assert RELEASE.session_tables() == ()


@isolate_apps("django.contrib.sessions", "tests")
def test_what_is_deleted_with_a_session_goes_before_it() -> None:
    class Visit(models.Model):  # noqa: DJ008
        session = models.ForeignKey(Session, models.CASCADE)

        class Meta:
            app_label = "tests"

    class Cart(models.Model):  # noqa: DJ008
        visit = models.ForeignKey(Visit, models.CASCADE)
        session = models.ForeignKey(Session, models.SET_NULL, null=True)

        class Meta:
            app_label = "tests"

    relations = [Visit._meta.get_field("session").remote_field]
    with (
        mock.patch.object(Session._meta, "related_objects", relations),
        mock.patch.object(
            Visit._meta, "related_objects", [Cart._meta.get_field("visit").remote_field]
        ),
    ):
        assert RELEASE.session_tables() == ("tests_cart", "tests_visit", "django_session")


def test_accounts_are_the_rows_of_the_user_model() -> None:
    assert RELEASE.account_column() == ("auth_user", "username")


def test_functions_are_those_that_django_gives_its_connections() -> None:
    """An index on MD5(name) is Django's own: without its function no check would get through."""
    with closing(sqlite3.connect(":memory:")) as connection:
        import_module(RELEASE.functions()).register(connection)
        assert connection.execute("SELECT md5('a')").fetchone() == (md5(b"a").hexdigest(),)


# Squashed migrations


@pytest.fixture
def squashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An app whose migrations 0001 and 0002 were squashed; the two are still there."""
    migrations = tmp_path / "shelf" / "migrations"
    migrations.mkdir(parents=True)
    for package in (migrations.parent, migrations):
        (package / "__init__.py").touch()
    header = "from django.db import migrations, models\n"
    book = "migrations.CreateModel('Book', [('id', models.AutoField(primary_key=True))])"
    pen = "migrations.CreateModel('Pen', [('id', models.AutoField(primary_key=True))])"
    for name, body in {
        "0001_book": f"operations = [{book}]",
        "0002_pen": f"dependencies = [('shelf', '0001_book')]; operations = [{pen}]",
        "0001_squashed_0002_pen": (
            "replaces = [('shelf', '0001_book'), ('shelf', '0002_pen')];"
            f" operations = [{book}, {pen}]"
        ),
    }.items():
        code = f"{header}class Migration(migrations.Migration):\n" + textwrap.indent(body, "    ")
        (migrations / f"{name}.py").write_text(code + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "shelf"]:
        del sys.modules[name]  # another test's
    with override_settings(INSTALLED_APPS=["shelf"]):
        yield


@pytest.mark.usefixtures("squashed")
@pytest.mark.parametrize(
    ("has", "plan"),
    [
        ([], ("shelf.0001_squashed_0002_pen",)),
        (["shelf.0001_book"], ("shelf.0002_pen",)),
        (["shelf.0001_book", "shelf.0002_pen"], ()),
        (["shelf.0001_book", "shelf.0002_pen", "shelf.0001_squashed_0002_pen"], ()),
    ],
    ids=["none", "half of it", "what it replaces", "it"],
)
def test_squashed_migrations_resolve_as_on_the_snapshot_s_own_database(
    has: list[str], plan: tuple[str, ...]
) -> None:
    RELEASE.check_known(has, ())
    assert RELEASE.plan(has) == plan


@pytest.mark.usefixtures("squashed")
def test_half_squashed_snapshot_without_the_files_of_the_other_half_is_invalid(
    tmp_path: Path,
) -> None:
    migrations = tmp_path / "shelf" / "migrations"
    for name in ("0001_book", "0002_pen"):
        (migrations / f"{name}.py").unlink()
    (migrations / "0003_ink.py").write_text(
        "from django.db import migrations\n"
        "class Migration(migrations.Migration):\n"
        "    dependencies = [('shelf', '0002_pen')]\n"
    )
    assert RELEASE.plan(["shelf.0001_book", "shelf.0002_pen"]) == ("shelf.0003_ink",)
    with pytest.raises(InvalidSnapshotError, match=r"forward: .*0002_pen"):
        RELEASE.check_known(["shelf.0001_book"], ())


@pytest.mark.usefixtures("squashed")
def test_half_squashed_snapshot_promises_half_of_the_tables() -> None:
    shelf = {"shelf_book": {"id"}}
    RELEASE.check_tables(Found(["shelf.0001_book"], shelf), Live())
    with pytest.raises(MissingTablesError, match="shelf_pen"):
        RELEASE.check_tables(Found(["shelf.0001_book", "shelf.0002_pen"], shelf), Live())


# Generated columns


@pytest.fixture
def sums(squashed: None, tmp_path: Path) -> None:
    """A table with a column that its model stores, and one that it generates."""
    (tmp_path / "shelf" / "migrations" / "0003_sum.py").write_text(
        textwrap.dedent(
            """
            from django.db import migrations, models
            from django.db.models import F


            class Migration(migrations.Migration):
                dependencies = [("shelf", "0002_pen")]
                operations = [
                    migrations.CreateModel(
                        "Sum",
                        [
                            ("id", models.AutoField(primary_key=True)),
                            ("one", models.IntegerField()),
                            (
                                "two",
                                models.GeneratedField(
                                    expression=F("one") + 1,
                                    output_field=models.IntegerField(),
                                    db_persist=False,
                                ),
                            ),
                        ],
                    )
                ]
            """
        )
    )


SHELF = ["shelf.0001_book", "shelf.0002_pen", "shelf.0003_sum"]
SHELVES = {"shelf_book": {"id"}, "shelf_pen": {"id"}, "shelf_sum": {"id", "one", "two"}}


@pytest.mark.usefixtures("sums")
@pytest.mark.parametrize(
    ("generated", "wrong"),
    [
        ({"one", "two"}, "shelf_sum.one is a generated column; on this site it is not"),
        (set(), "shelf_sum.two is not a generated column; on this site it is a generated"),
        ({"id", "two"}, "shelf_sum.id is a generated column"),
    ],
)
def test_column_must_be_generated_just_where_the_model_s_is(
    generated: set[str], wrong: str, settings: Settings
) -> None:
    RELEASE.check_tables(Found(SHELF, SHELVES, generated={"shelf_sum": {"two"}}), Live())
    found = Found(SHELF, SHELVES, generated={"shelf_sum": generated})
    with pytest.raises(UnknownSchemaError, match=wrong):
        RELEASE.check_tables(found, Live())
    other = Live(tables=SHELVES, generated={"shelf_sum": {"two"}})
    with pytest.raises(UnknownSchemaError, match=wrong):
        RELEASE.check_tables(found, other)
    RELEASE.check_tables(found, Live(tables=SHELVES, generated={"shelf_sum": generated}))
    settings.BACKUPS_ALLOW_UNKNOWN_SCHEMA = True
    RELEASE.check_tables(found, Live())


# What is not of this site


def recognise_songs(tables: dict[str, frozenset[str]]) -> str:
    return "It is a jukebox's." if "title" in tables.get("songs", ()) else ""


def test_what_a_foreign_database_is_is_the_site_s_to_say(settings: Settings) -> None:
    settings.BACKUPS_RECOGNISER = f"{__name__}.recognise_songs"
    assert RELEASE.recognise({"songs": frozenset({"title"})}) == "It is a jukebox's."
    assert RELEASE.recognise({"songs": frozenset({"id"})}) == ""


def test_without_a_recogniser_nothing_is_said(settings: Settings) -> None:
    settings.BACKUPS_RECOGNISER = ""
    assert RELEASE.recognise({"songs": frozenset({"title"})}) == ""
