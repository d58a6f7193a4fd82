"""Which tables are made follows from the snapshot's migrations; ``migrate`` goes on from there."""

from pathlib import Path

import pytest

from tests.postgres.move.project import Project
from tests.postgres.server import Server

pytestmark = pytest.mark.postgres

MODELS = """
from django.db import models


class Book(models.Model):
    title = models.CharField(max_length={length})
    {rest}
"""
FIRST = """
from django.db import migrations, models


def write(apps, schema_editor):
    apps.get_model("library", "Book").objects.create(title="of the migration")


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Book", [
            ("id", models.BigAutoField(primary_key=True, serialize=False)),
            ("title", models.CharField(max_length=20)),
        ]),
        migrations.RunPython(write, migrations.RunPython.noop),
    ]
"""
SECOND = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("library", "0001_initial")]
    operations = [
        migrations.AddField("book", "pages", models.PositiveIntegerField(default=1)),
        migrations.RunSQL("UPDATE library_book SET pages = 7", ""),
    ]
"""
SQUASHED = """
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [("library", "0001_initial"), ("library", "0002_pages")]
    initial = True
    operations = [
        migrations.CreateModel("Book", [
            ("id", models.BigAutoField(primary_key=True, serialize=False)),
            ("title", models.CharField(max_length=20)),
            ("pages", models.PositiveIntegerField(default=1)),
        ]),
    ]
"""
THIRD = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("library", "{before}")]
    operations = [
        migrations.AlterField("book", "title", models.CharField(max_length=50)),
        migrations.AddField("book", "upper", models.CharField(max_length=50, default="")),
        migrations.RunSQL("UPDATE library_book SET upper = upper(title)", ""),
    ]
"""
ROWS = "SELECT id, title, pages, upper FROM library_book ORDER BY id"


@pytest.fixture
def library(postgres: Server, tmp_path: Path) -> Project:
    """A project whose one app has two migrations, both applied, and three books."""
    project = Project(tmp_path, postgres, ("library",))
    files = {"0001_initial": FIRST, "0002_pages": SECOND}
    project.app("library", MODELS.format(length=50, rest=""), files)
    project.migrate()
    project.execute("INSERT INTO library_book (title, pages) VALUES ('a', 1), ('b', 2)")
    return project


def release(project: Project, **files: str) -> None:
    """Install another release: these migrations, and no others."""
    for path in (project.folder / "library/migrations").glob("0*.py"):
        path.unlink()
    rest = "pages = models.PositiveIntegerField(default=1)\n"
    rest += "    upper = models.CharField(max_length=50, default='')\n"
    project.app("library", MODELS.format(length=50, rest=rest), files)


def check_goes_on(project: Project) -> None:
    project.run("manage.py", "migrate", "-v0", on=project.database)
    assert project.query(ROWS) == [
        (1, "of the migration", 7, "OF THE MIGRATION"),
        (2, "a", 1, "A"),
        (3, "b", 2, "B"),
    ]


def test_older_snapshot_is_moved_as_it_is_and_then_migrated(library: Project) -> None:
    release(
        library,
        **{
            "0001_initial": FIRST,
            "0002_pages": SECOND,
            "0003_upper": THIRD.format(before="0002_pages"),
        },
    )
    answer = library.move()
    assert answer["rows"] == {"django_migrations": 2, "library_book": 3}
    assert [step for step, *_ in answer["told"]][:2] == ["migrations", "migrations"]
    check_goes_on(library)


@pytest.mark.parametrize("are_gone", [False, True])
def test_squashed_migrations_are_those_that_the_snapshot_has(
    library: Project, are_gone: bool
) -> None:
    files = {} if are_gone else {"0001_initial": FIRST, "0002_pages": SECOND}
    files["0001_squashed_0002_pages"] = SQUASHED
    files["0003_upper"] = THIRD.format(before="0001_squashed_0002_pages")
    release(library, **files)
    assert "error" not in library.move()
    check_goes_on(library)


def test_half_of_what_a_squash_replaces_can_be_applied(library: Project) -> None:
    library.execute("DELETE FROM django_migrations WHERE name = '0002_pages'")
    library.execute("ALTER TABLE library_book DROP COLUMN pages")
    release(
        library,
        **{
            "0001_initial": FIRST,
            "0002_pages": SECOND,
            "0001_squashed_0002_pages": SQUASHED,
            "0003_upper": THIRD.format(before="0001_squashed_0002_pages"),
        },
    )
    assert "error" not in library.move()
    library.run("manage.py", "migrate", "-v0", on=library.database)
    assert library.query(ROWS)[2] == (3, "b", 7, "B")


def test_migrations_that_the_release_does_not_know_are_recorded(library: Project) -> None:
    library.execute("UPDATE library_book SET title = 'short'")
    for app, name in (("gone", "0001_initial"), ("library", "0000_old")):
        library.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES (?, ?, '2020-01-01')",
            app,
            name,
        )
    library.execute("CREATE TABLE gone_thing (id integer PRIMARY KEY, name varchar(9))")
    library.execute("INSERT INTO gone_thing VALUES (1, 'still')")
    answer = library.move()
    assert answer["rows"] == {"django_migrations": 4, "gone_thing": 1, "library_book": 3}
    assert library.query("SELECT app, name FROM django_migrations ORDER BY id")[2:] == [
        ("gone", "0001_initial"),
        ("library", "0000_old"),
    ]


def test_migration_that_fails_on_postgresql_is_the_reason(library: Project) -> None:
    release(
        library,
        **{"0001_initial": FIRST, "0002_pages": SECOND.replace("= 7", "= 'strftime' || 7")},
    )
    answer = library.move()
    assert answer["error"] == "RestoreRefusedError"
    assert answer["message"].startswith("The snapshot's migrations failed on PostgreSQL, in")


def test_triggers_of_the_migrations_are_there_and_did_not_run(library: Project) -> None:
    library.execute("UPDATE library_book SET title = 'short'")
    trigger = """
        CREATE FUNCTION louder() RETURNS trigger AS
        $$ BEGIN NEW.title = 'LOUD'; RETURN NEW; END $$ LANGUAGE plpgsql;
        CREATE TRIGGER louder BEFORE INSERT ON library_book
        FOR EACH ROW EXECUTE FUNCTION louder();
    """
    files = {
        "0001_initial": FIRST,
        "0002_pages": SECOND.replace(
            "UPDATE library_book SET pages = 7", trigger.replace("\n", " ")
        ),
    }
    release(library, **files)
    assert "error" not in library.move()
    assert library.query("SELECT DISTINCT title FROM library_book") == [("short",)]
    inserted = "INSERT INTO library_book (title, pages) VALUES ('quiet', 1) RETURNING title"
    assert library.query(inserted) == [("LOUD",)]


def test_no_receiver_of_the_site_writes_rows_meanwhile(library: Project) -> None:
    library.execute("UPDATE library_book SET title = 'short'")
    library.write(
        "library/apps.py",
        "from django.apps import AppConfig\n"
        "from django.db.models.signals import post_migrate, post_save\n"
        "class LibraryConfig(AppConfig):\n"
        "    name = 'library'\n"
        "    def ready(self):\n"
        "        def add(**_):\n"
        "            self.get_model('Book').objects.create(title='a receiver')\n"
        "        post_migrate.connect(add, weak=False)\n"
        "        self.add = add\n",
    )
    release(library, **{"0001_initial": FIRST, "0002_pages": SECOND})
    assert library.move()["rows"]["library_book"] == 3
    assert library.query("SELECT DISTINCT title FROM library_book") == [("short",)]


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        ("ValueError('of the rows')", "RestoreRefusedError"),
        ("MemoryError()", "MigrationStoppedError"),
        ("OSError(28, 'No space left on device')", "RestoreBlockedError"),
    ],
)
def test_what_a_migration_raises_decides_whose_fault_it_is(
    library: Project, raised: str, error: str
) -> None:
    first = FIRST.replace("    apps.get_model", f"    raise {raised}\n    apps.get_model")
    release(library, **{"0001_initial": first, "0002_pages": SECOND})
    answer = library.move()
    assert answer["error"] == error
    if "rows" in raised:
        assert answer["message"] == (
            "The snapshot's migrations failed on PostgreSQL, in library.0001_initial: of the rows."
        )


@pytest.mark.parametrize("lost", [False, True])
def test_row_that_does_not_come_back_as_it_was_sent_is_an_error(
    library: Project, lost: bool
) -> None:
    library.execute("UPDATE library_book SET title = 'short'")
    change = r'b"3\tshort\t2\n", b""' if lost else 'b"short", b"other"'
    library.write(
        "library/apps.py",
        "import psycopg\n"
        "from django.apps import AppConfig\n"
        "write = psycopg.Copy.write\n"
        "class LibraryConfig(AppConfig):\n"
        "    name = 'library'\n"
        "    def ready(self):\n"
        f"        psycopg.Copy.write = lambda copy, data: write(copy, data.replace({change}))\n",
    )
    release(library, **{"0001_initial": FIRST, "0002_pages": SECOND})
    how = "2 of 3 rows came back" if lost else "3 of 3 rows came back, with other values"
    answer = library.move()
    assert answer["error"] == "RestoreRefusedError"
    assert answer["message"] == (
        f"The table library_book is not in PostgreSQL as it was sent: {how}."
    )
