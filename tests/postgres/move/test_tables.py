"""Tables that no model has, what SQLite alone has, and the numbers that new rows get."""

from pathlib import Path

import pytest

from tests.postgres.move.project import Project
from tests.postgres.move.rich import fill
from tests.postgres.server import Server

pytestmark = pytest.mark.postgres

ODD = '"O\'dd ""Table"" 100% {}"'


def columns(project: Project, table: str) -> dict[str, str]:
    """The type of each column, with ``!`` if it is NOT NULL."""
    rows = project.query(
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_attribute a"
        f" WHERE attrelid = '{table}'::regclass AND attnum > 0"
    )
    return {name: type_ + "!" * required for name, type_, required in rows}


def test_empty_database_is_moved(rich: Project) -> None:
    answer = rich.move()
    assert answer["rows"]["shop_everything"] == 0
    assert answer["rows"]["django_migrations"] == len(rich.applied())
    assert rich.rows(on=rich.database) == rich.rows()


def test_table_without_a_model_is_made_by_the_types_that_were_declared(rich: Project) -> None:
    rich.execute(
        f'CREATE TABLE {ODD} ("Id" INTEGER PRIMARY KEY, n int NOT NULL, r REAL, t varchar(5),'
        ' b BLOB, flag bool, d decimal(5, 2), mixed, "an%s" TEXT, either numeric, at datetime)'
    )
    rich.execute(
        f"INSERT INTO {ODD} VALUES (7, ?, 1.5, 'longer than five', x'00ff', 1, 1.25, 'a', '%s', 1,"
        " '2024-01-01')",
        2**63 - 1,
    )
    rich.execute(f"INSERT INTO {ODD} VALUES (9, 1, 2, NULL, 'text', 0, 3, 5, '{{}}', x'ff', NULL)")
    answer = rich.move()
    assert 'The table O\'dd "Table" 100% {} belongs to no model.' in answer["warnings"][0]
    assert columns(rich, ODD.replace("'", "''")) == {
        "Id": "bigint!",
        "n": "bigint!",
        "r": "double precision",
        "t": "text",
        "b": "bytea",
        "flag": "boolean",
        "d": "numeric",
        "mixed": "text",
        "an%s": "text",
        "either": "bytea",
        "at": "timestamp with time zone",
    }
    rows = rich.query(
        'SELECT n, r, t, b, flag, d::text, mixed, "an%s", either,'
        f" timezone('UTC', at)::text FROM {ODD} ORDER BY 1"
    )
    assert rows == [
        (1, 2.0, None, b"text", False, "3", "5", "{}", b"\xff", None),
        (
            2**63 - 1,
            1.5,
            "longer than five",
            b"\x00\xff",
            True,
            "1.25",
            "a",
            "%s",
            b"1",
            "2024-01-01 00:00:00",
        ),
    ]
    assert rich.query(f'INSERT INTO {ODD} (n) VALUES (1) RETURNING "Id"') == [(10,)]


def test_table_without_a_row_number_keeps_its_key(rich: Project) -> None:
    rich.execute("CREATE TABLE raw (a text, rowid int, PRIMARY KEY (rowid, a)) WITHOUT ROWID")
    rich.execute("INSERT INTO raw VALUES ('x', 1), ('x', 2)")
    assert rich.move()["rows"]["raw"] == 2
    assert rich.query(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = 'raw'::regclass AND contype = 'p'"
    ) == [("PRIMARY KEY (rowid, a)",)]


def test_column_without_a_field_comes_along(rich: Project) -> None:
    rich.execute('ALTER TABLE auth_group ADD COLUMN "left Over" integer')
    rich.execute("INSERT INTO auth_group VALUES (1, 'all', 77)")
    assert rich.move()["warnings"] == [
        "The column left Over of the table auth_group belongs to no field. It was made by the type"
        " that SQLite had for it."
    ]
    assert rich.query('SELECT id, name, "left Over" FROM auth_group') == [(1, "all", 77)]


def test_what_is_written_in_the_sql_of_sqlite_stays_behind(rich: Project) -> None:
    rich.execute("CREATE VIRTUAL TABLE words USING fts5(text)")
    rich.execute("INSERT INTO words VALUES ('found')")
    rich.execute("CREATE VIEW everybody AS SELECT * FROM auth_user")
    rich.execute("CREATE TRIGGER t AFTER INSERT ON auth_user BEGIN DELETE FROM auth_group; END")
    answer = rich.move()
    assert not [name for name in answer["rows"] if name.startswith("words")]
    assert answer["warnings"] == [
        "What is written in SQLite's own SQL was left out: the virtual table words, view"
        " everybody, trigger t. The site's migrations make those that PostgreSQL has.",
        "The tables of virtual tables were left out: words_data, words_idx, words_content,"
        " words_docsize, words_config.",
    ]


def test_new_rows_get_the_numbers_after_the_highest_that_sqlite_ever_gave(rich: Project) -> None:
    rich.execute("INSERT INTO auth_group (id, name) VALUES (5, 'a'), (300, 'b')")
    rich.execute("DELETE FROM auth_group WHERE id = 300")
    rich.execute("INSERT INTO shop_vehicle (id, wheels) VALUES (-3, 1)")
    fill(rich)
    rich.move()
    last = {table: max(seq, 0) for table, seq in rich.ask("SELECT name, seq FROM sqlite_sequence")}
    rich.shell(
        "from django.contrib.auth.models import Group; from shop.models import *\n"
        "assert Group.objects.create(name='c').pk == 302\n"
        f"assert Everything.objects.create().pk == {last['shop_everything'] + 1}\n"
        f"assert Vehicle.objects.create(wheels=1).pk == {last['shop_vehicle'] + 1}\n"
        "Everything.objects.latest('pk').tags.add(Tag.objects.create(name='new'))\n",
        on=rich.database,
    )


def test_constraints_indexes_and_sequences_are_those_of_the_migrations(rich: Project) -> None:
    fill(rich)
    rich.move()
    fresh = rich.server.make_database()
    rich.run("manage.py", "migrate", "-v0", on=fresh)
    rich.run("manage.py", "migrate", "--run-syncdb", "-v0", on=fresh)
    sql = (
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), condeferred,"
        " convalidated FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
    )
    indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
    moved = rich.query(sql), rich.query(indexes)
    rich.database = fresh
    assert moved == (rich.query(sql), rich.query(indexes))
    assert len(moved[0]) > 50


def test_values_with_more_decimals_than_the_column_are_as_the_site_showed_them(
    rich: Project,
) -> None:
    rich.insert("shop_everything", id="1", price="1.239", file="''")
    before = rich.rows()
    assert rich.move()["warnings"] == [
        "1 values of shop_everything.price had more decimals than the column has. They are what"
        " the site showed for them."
    ]
    assert rich.rows(on=rich.database) == before


def test_table_of_a_cache_is_made_as_django_makes_it(rich: Project) -> None:
    settings = rich.folder / "settings.py"
    backend = "django.core.cache.backends.db.DatabaseCache"
    settings.write_text(
        settings.read_text()
        + f"CACHES = {{'default': {{'BACKEND': '{backend}', 'LOCATION': 'The cache'}}}}\n"
    )
    rich.run("manage.py", "createcachetable")
    rich.shell("from django.core.cache import cache; cache.set('key', [1, 'é'], 10**6)")
    answer = rich.move()
    assert answer["warnings"] == []
    assert answer["rows"]["The cache"] == 1
    read = "from django.core.cache import cache; print(cache.get('key'))"
    assert rich.shell(read, on=rich.database) == "[1, 'é']\n"


def test_dates_without_a_model_are_dates_if_all_of_them_are(rich: Project) -> None:
    rich.execute("CREATE TABLE raw (good datetime, bad datetime, day date, at time, no bool)")
    rich.execute(
        "INSERT INTO raw VALUES (?, ?, ?, '12:30', 7)", *["2024-01-01 10:00"] * 2, "2024-02-29"
    )
    rich.execute("INSERT INTO raw (bad, day) VALUES ('never', NULL)")
    rich.move()
    assert columns(rich, "raw") == {
        "good": "timestamp with time zone",
        "bad": "text",
        "day": "date",
        "at": "time without time zone",
        "no": "bigint",
    }
    assert rich.query(
        "SELECT timezone('UTC', good)::text, bad, day::text, at::text, no FROM raw WHERE no = 7"
    ) == [("2024-01-01 10:00:00", "2024-01-01 10:00", "2024-02-29", "12:30:00", 7)]


# As Wagtail's: text for SQLite's own index there, and here words that PostgreSQL has made.
SEARCH = """
from django.db import models


class Words(models.TextField):
    def db_type(self, connection):
        return "tsvector" if connection.vendor == "postgresql" else "text"


class Entry(models.Model):
    title = Words()
"""


def test_search_index_stays_behind_with_a_warning(postgres: Server, tmp_path: Path) -> None:
    project = Project(tmp_path, postgres, ("search",))
    project.app("search", SEARCH, migrations={})
    project.run("manage.py", "makemigrations", "search", "-v0")
    project.migrate()
    project.execute("INSERT INTO search_entry VALUES (1, 'it isn''t a: vector')")
    answer = project.move()
    assert answer["rows"]["search_entry"] == 0
    assert answer["warnings"] == [
        "The rows of search_entry were left out: they are a search index, and each database has one"
        " of its own kind. Build it anew (Wagtail: manage.py update_index)."
    ]
    assert answer["told"][-1][0] == "constraints"


UNMANAGED = """
from django.db import models


class Legacy(models.Model):
    key = models.UUIDField(primary_key=True)
    span = models.DurationField()
    data = models.JSONField()
    address = models.GenericIPAddressField()
    bad = models.UUIDField()
    name = models.CharField(max_length=3)

    class Meta:
        managed = False
        db_table = "Legacy"
"""


def test_table_of_a_model_that_is_not_managed_has_the_types_that_django_needs(
    postgres: Server, tmp_path: Path
) -> None:
    project = Project(tmp_path, postgres, ("legacy",))
    project.app("legacy", UNMANAGED, migrations={})
    project.run("manage.py", "makemigrations", "legacy", "-v0")
    project.migrate()
    project.execute(
        'CREATE TABLE "Legacy" (key char(32) NOT NULL PRIMARY KEY, span bigint, data text,'
        " address char(39), bad char(32), name varchar(99))"
    )
    project.execute(
        "INSERT INTO \"Legacy\" VALUES (?, -7, '{\"a\": 1}', '::1', 'none', 'longer')", "a" * 32
    )
    (warning,) = project.move()["warnings"]
    assert warning.startswith("The table Legacy belongs to no managed model. It was made by")
    assert columns(project, '"Legacy"') == {
        "key": "uuid!",
        "span": "interval",
        "data": "jsonb",
        "address": "inet",
        "bad": "text",
        "name": "text",
    }
    assert project.query('SELECT key::text, data, address::text, bad, name FROM "Legacy"') == [
        ("aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa", {"a": 1}, "::1/128", "none", "longer")
    ]
    project.shell(
        "from legacy.models import Legacy; import datetime\n"
        f"assert Legacy.objects.defer('bad').get(key='{'a' * 32}', data__a=1).span"
        " == datetime.timedelta(microseconds=-7)",
        on=project.database,
    )
