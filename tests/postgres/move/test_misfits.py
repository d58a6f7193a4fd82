"""What PostgreSQL can't hold is named with table, key and column: all of it. Nothing is moved."""

from pathlib import Path

import pytest

from tests.postgres.move.project import Project
from tests.postgres.server import Server

pytestmark = pytest.mark.postgres

# The column, the value as SQL, and what is said of it.
HOSTILE = [
    ("flag", "7", "is the number 7, neither 0 nor 1"),
    ("small", "40000", "is 40000, not between -32768 and 32767"),
    ("number", "'abc'", "is the text 'abc', not a whole number"),
    ("big", "1e19", "is 10000000000000000000, not between"),
    ("positive", "-1", "is -1, not between 0 and 2147483647"),
    ("price", "10000000000", "is 10000000000, which needs more than 12 digits"),
    ("ratio", "'abc'", "is the text 'abc', not a number"),
    ("name", "'123456789012345678901'", "has 21 letters, and at most 20 fit"),
    ("text", "'a' || char(0)", "has a NUL character"),
    ("day", "'2024-02-30'", "is the text '2024-02-30', not a date"),
    ("moment", "'never'", "is the text 'never', not a date with a time"),
    ("clock", "'25:00'", "is the text '25:00', not a time of day"),
    ("span", "1.5", "is the number 1.5, not a duration in microseconds"),
    ("data", '\'{"a": "\\u0000"}\'', "has a NUL character (\\u0000) in its JSON"),
    ("key", "'xyz'", "is the text 'xyz', not a UUID"),
    ("blob", "'text'", "is the text 'text', not binary"),
    ("ip", "'1.2.3'", "is the text '1.2.3', not a network address"),
    ("two", "'xyz'", "is the text 'xyz', which its field can't read"),
    ("cents", "x'00'", "is binary (1 bytes), not text"),
    ("parent_id", "999", "refers to a row of shop_everything that does not exist"),
]


def test_everything_that_does_not_fit_is_named_at_once(rich: Project) -> None:
    for number, (column, value, _) in enumerate(HOSTILE, 1):
        rich.insert("shop_everything", id=str(number), **{column: value, "file": "''"})
    answer = rich.move()
    assert answer["error"] == "UnfitRowsError"
    first, *lines = answer["message"].split("\n")
    assert first == f"PostgreSQL can't hold {len(HOSTILE)} values of the snapshot."
    assert len(lines) == len(HOSTILE)
    for number, (column, _, why) in enumerate(HOSTILE, 1):
        assert f"shop_everything, row {number}, column {column}: {why}" in answer["message"]
    assert rich.query("SELECT count(*) FROM shop_everything") == [(0,)]
    assert rich.query("SELECT count(*) FROM auth_permission") == [(0,)]


def test_thousand_are_named_and_all_are_counted_by_table_and_column(rich: Project) -> None:
    rich.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
        " INSERT INTO shop_tag (id, name)"
        " SELECT printf('%032x', i), 'much longer than twenty letters ' || i FROM n"
    )
    rich.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30)"
        " INSERT INTO shop_everything (id, small, file) SELECT i, 99999, '' FROM n"
    )
    first, *lines, last = rich.move()["message"].split("\n")
    assert first == (
        "PostgreSQL can't hold 5,030 values of the snapshot: 5,000 in shop_tag.name, 30 in"
        " shop_everything.small."
    )
    assert len(lines) == len(set(lines)) == 1000
    assert last == "and 4,030 more."
    small = "shop_everything, row {}, column small: is 99999, not between -32768 and 32767;"
    assert [line for line in lines if "small" in line] == [small.format(n) for n in range(1, 31)]
    assert f"shop_tag, row {970:032x}, column name: has 35 letters, and at most 20 fit;" in lines


def test_text_that_is_not_utf_8_is_named_and_what_comes_after_it_too(rich: Project) -> None:
    rich.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
        " INSERT INTO shop_everything (id, text, file) SELECT i, 'fine', '' FROM n"
    )
    rich.execute("UPDATE shop_everything SET text = CAST(x'61ff' AS TEXT) WHERE id = 2500")
    rich.execute("UPDATE shop_everything SET text = 'a' || char(0) WHERE id = 4999")
    message = rich.move()["message"]
    assert "shop_everything, row 2500, column text: is not UTF-8" in message
    assert "shop_everything, row 4999, column text: has a NUL character" in message
    assert "2 values" in message


def test_null_that_sqlite_let_in_is_named(rich: Project) -> None:
    rich.execute("DROP TABLE shop_country")
    rich.execute("CREATE TABLE shop_country (code varchar(2) PRIMARY KEY)")
    rich.execute("INSERT INTO shop_country VALUES ('de'), (NULL)")
    assert rich.move()["message"] == (
        "PostgreSQL can't hold a value of the snapshot. shop_country, row NULL, column code: is"
        " NULL, and the column is NOT NULL."
    )


def test_keys_that_only_postgresql_finds_equal_are_named(rich: Project) -> None:
    rich.execute("INSERT INTO shop_tag VALUES (?, 'one'), (?, 'two')", "a" * 32, "A" * 32)
    message = rich.move()["message"]
    assert f"shop_tag, row {'A' * 32}" in message
    assert "duplicate key value violates unique constraint" in message
    assert (
        '"shop_tag_pkey": Key (id)=(aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa) already exists' in message
    )


def test_references_that_only_postgresql_has_are_all_named(rich: Project) -> None:
    rich.execute("DROP TABLE shop_egg")
    rich.execute("CREATE TABLE shop_egg (id integer PRIMARY KEY, of_id bigint)")
    rich.execute("INSERT INTO shop_egg VALUES (1, 77), (2, 78)")
    egg = "shop_egg, row {}, column of_id: refers to a row of shop_chicken that does not exist"
    assert rich.move()["message"] == (
        f"PostgreSQL can't hold 2 values of the snapshot.\n{egg.format(1)};\n{egg.format(2)}."
    )


def test_references_of_a_table_without_a_model_may_be_broken(rich: Project) -> None:
    rich.execute("CREATE TABLE gone (id integer PRIMARY KEY, by_id int REFERENCES auth_user (id))")
    rich.execute("INSERT INTO gone VALUES (1, 77)")
    assert rich.move()["rows"]["gone"] == 1
    assert rich.query("SELECT * FROM gone") == [(1, 77)]


def test_last_number_that_sqlite_gave_can_be_too_large(rich: Project) -> None:
    rich.execute("INSERT INTO auth_group (id, name) VALUES (1, 'a')")
    rich.execute("UPDATE sqlite_sequence SET seq = 3000000000 WHERE name = 'auth_group'")
    assert "auth_group, column id: 3000000000 is the last number" in rich.move()["message"]


def test_broken_references_of_a_table_with_a_key_of_text_are_named(rich: Project) -> None:
    rich.execute("INSERT INTO django_content_type (id, app_label, model) VALUES (99, 'a', 'b')")
    rich.execute("INSERT INTO shop_note (id, object_id, kind_id) VALUES (7, 1, 98)")
    rich.execute(
        "INSERT INTO shop_everything_tags (id, everything_id, tag_id) VALUES (3, 1, 'none')"
    )
    message = rich.move()["message"]
    assert "shop_note, row 7, column kind_id: refers to a row of django_content_type" in message
    assert "shop_everything_tags, row 3, column everything_id: refers to a row" in message
    assert "shop_everything_tags, row 3, column tag_id: refers to a row of shop_tag" in message


# SQLite knows neither of the first two constraints, and only the capital letters of English.
STRICT = """
from django.db import models
from django.db.models.functions import Lower


class Seat(models.Model):
    number = models.IntegerField()
    guest = models.CharField(max_length=50, null=True)
    name = models.CharField(max_length=50)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["number"], name="one_guest", deferrable=models.Deferrable.DEFERRED
            ),
            models.UniqueConstraint(fields=["guest"], name="no_two_nulls", nulls_distinct=False),
            models.UniqueConstraint(Lower("name"), name="any_case"),
        ]


class Zebra(models.Model):
    name = models.CharField(max_length=5)
"""


def test_rows_that_only_postgresql_refuses_are_all_named(postgres: Server, tmp_path: Path) -> None:
    project = Project(tmp_path, postgres, ("strict",))
    project.app("strict", STRICT, migrations={})
    project.run("manage.py", "makemigrations", "strict", "-v0")
    project.migrate()
    project.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
        " INSERT INTO strict_seat SELECT i, i, i, 'name ' || i FROM n"
    )
    assert "error" not in project.move()
    project.execute("UPDATE strict_seat SET number = 1 WHERE id IN (2, 1500)")
    project.execute("UPDATE strict_seat SET guest = NULL WHERE id IN (40, 41, 2999)")
    project.execute("UPDATE strict_seat SET name = 'Ä' WHERE id = 10")
    project.execute("UPDATE strict_seat SET name = 'ä' WHERE id IN (3000)")
    project.execute("UPDATE strict_seat SET name = 'a' || char(0) WHERE id IN (5)")
    project.execute("INSERT INTO strict_zebra VALUES (1, 'much too long')")
    first, *lines = project.move()["message"].split("\n")
    assert first == "PostgreSQL can't hold 7 values of the snapshot."
    twice = "duplicate key value violates unique constraint"
    assert sorted(line.rstrip(".;") for line in lines) == [
        f'strict_seat, row 1500: {twice} "one_guest": Key (number)=(1) already exists',
        f'strict_seat, row 2999: {twice} "no_two_nulls": Key (guest)=(null) already exists',
        f'strict_seat, row 2: {twice} "one_guest": Key (number)=(1) already exists',
        f'strict_seat, row 3000: {twice} "any_case": Key (lower(name::text))=(ä) already exists',
        f'strict_seat, row 41: {twice} "no_two_nulls": Key (guest)=(null) already exists',
        "strict_seat, row 5, column name: has a NUL character",
        "strict_zebra, row 1, column name: has 13 letters, and at most 5 fit",
    ]
