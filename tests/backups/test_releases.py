"""What Django's migrations say of a snapshot: known, whole, and what is still to run."""

import sqlite3
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings

from backups.exceptions import InvalidSnapshotError, MissingTablesError, NewerSnapshotError
from backups.releases import InstalledRelease
from tests.backups import builders
from tests.site import Site

RELEASE = InstalledRelease("default")


@pytest.fixture
def applied(template_site: Site) -> list[str]:
    """Every migration of a site of this release."""
    with closing(sqlite3.connect(template_site.database)) as connection:
        rows = connection.execute("SELECT app, name FROM django_migrations ORDER BY id")
        return [f"{app}.{name}" for app, name in rows]


@pytest.fixture
def tables(template_site: Site) -> set[str]:
    with closing(sqlite3.connect(template_site.database)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}


def test_snapshot_of_this_release_is_known_whole_and_needs_nothing(
    applied: list[str], tables: set[str]
) -> None:
    RELEASE.check_known(applied, ())
    RELEASE.check_tables(applied, tables)
    assert RELEASE.plan(applied) == ()


def test_older_snapshot_needs_what_it_lacks_in_order(applied: list[str], tables: set[str]) -> None:
    older = [name for name in applied if not name.startswith(("auth.0012", "tasks.", "audit."))]
    plan = RELEASE.plan(older)
    assert sorted(plan) == sorted(set(applied) - set(older))
    RELEASE.check_known(older, ())
    RELEASE.check_tables(older, tables - {"tasks", "notes", "audit_logs"})


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
    applied: list[str], tables: set[str]
) -> None:
    with pytest.raises(MissingTablesError, match="the table tasks, which"):
        RELEASE.check_tables(applied, tables - {"tasks"})
    with pytest.raises(MissingTablesError, match=r"the tables auth_group, .*tasks"):
        RELEASE.check_tables(applied, tables - {"tasks", "auth_group"})


def test_table_between_two_models_is_promised_too(applied: list[str], tables: set[str]) -> None:
    with pytest.raises(MissingTablesError, match="auth_user_groups"):
        RELEASE.check_tables(applied, tables - {"auth_user_groups"})


def test_no_database_is_read_to_tell_of_a_snapshot(applied: list[str], tables: set[str]) -> None:
    """pytest-django fails a test that queries without having asked for the database."""
    RELEASE.check_known(applied, ())
    RELEASE.check_tables(applied, tables)
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
            "INSERT INTO django_migrations (app, name, applied) VALUES ('gone', '0001', 0)"
        )
        connection.commit()
    with django_db_blocker.unblock():
        assert InstalledRelease(alias).historic() == {*applied, "gone.0001"}


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
        assert InstalledRelease(alias).historic() == frozenset()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_wal_of_a_ruined_database_is_not_touched(
    alias: str, tmp_path: Path, django_db_blocker: Any
) -> None:
    """Who restores has one: the next start has to find all that is left of it, and keep it."""
    builders.ruined(tmp_path / "live.db")
    before = builders.folder(tmp_path)
    with django_db_blocker.unblock():
        assert InstalledRelease(alias).historic() == frozenset()
    after = builders.folder(tmp_path)
    assert {name: after[name] for name in before} == before


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
    RELEASE.check_tables(["shelf.0001_book"], {"shelf_book"})
    with pytest.raises(MissingTablesError, match="shelf_pen"):
        RELEASE.check_tables(["shelf.0001_book", "shelf.0002_pen"], {"shelf_book"})
