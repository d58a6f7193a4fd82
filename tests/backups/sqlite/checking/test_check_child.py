"""The child that checks: its verdict in parts, and what it prints whatever happens to it."""

import io
import json
import sqlite3
from contextlib import closing, nullcontext
from pathlib import Path
from unittest import mock

import pytest

from backups.sqlite.checking import check_child, pragmas
from backups.sqlite.checking.inspection import inspect
from backups.sqlite.checking.messages import Question, Verdict
from tests.backups import builders


def answer_on(path: Path) -> Verdict:
    """What ``main`` answers, in this process."""
    answer = io.StringIO()
    with mock.patch.object(check_child, "answering", return_value=nullcontext(answer)):
        check_child.main(json.dumps({"path": str(path), "seconds": 1.0}))
    return Verdict(**json.loads(answer.getvalue()))


@pytest.fixture(autouse=True)
def unlimited() -> object:
    """The limits are for the life of a process, and this one has other tests to run."""
    with mock.patch.multiple(check_child, limit_process=mock.DEFAULT, confine=mock.DEFAULT):
        yield


def test_verdict_on_a_whole_file_tells_what_is_in_it(tmp_path: Path) -> None:
    path = builders.with_sessions(tmp_path / "x.db", "one", "two", "three")
    verdict = inspect(
        Question(str(path), 60.0, clear=("SESSIONS",), account=("owners", "name", "ann"))
    )
    assert (verdict.damage, verdict.broken_references, verdict.is_late) == ([], [], False)
    assert (verdict.cleared, verdict.changed, verdict.account_is_missing) == (3, True, True)
    assert verdict.tables["sessions"] == ["key", "expires"]
    assert verdict.migrations == list(builders.MIGRATIONS)


def test_child_ends_by_itself_when_its_time_is_over(tmp_path: Path) -> None:
    """Should its parent be killed, nobody else would end it."""
    verdict = inspect(Question(str(builders.large(tmp_path / "x.db")), 0.0))
    assert verdict.is_late
    assert "interrupted" in verdict.damage[0]


def test_table_or_column_of_accounts_that_is_not_there_has_no_account(tmp_path: Path) -> None:
    path = str(builders.healthy(tmp_path / "x.db"))
    for account in (("nowhere", "name", "ann"), ("owners", "nothing", "ann")):
        assert inspect(Question(path, 60.0, account=account)).account_is_missing


@pytest.mark.parametrize("word", ["x'7aff'", "cast(x'7aff' AS TEXT)", "NULL"])
@pytest.mark.parametrize("column", ["app", "name"])
def test_migration_whose_name_is_no_text_is_damage(column: str, word: str, tmp_path: Path) -> None:
    """Django can't read it: then nothing is known of the live database, and triggers may come."""
    path = builders.healthy(tmp_path / "x.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE django_migrations SET {column} = {word} WHERE id = 1")
        connection.commit()
    assert "not text" in inspect(Question(str(path), 60.0)).damage[0]


def test_much_is_sorted_without_a_file(tmp_path: Path) -> None:
    """A table of migrations without an order, and too long to be sorted in a page or two."""
    path = builders.healthy(tmp_path / "x.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE django_migrations")
        connection.execute("CREATE TABLE django_migrations (id, app, name)")
        connection.executemany(
            "INSERT INTO django_migrations VALUES (?, 'shop', ?)",
            ((f"{-number:0100}", f"{number:0100}") for number in range(60_000)),
        )
        connection.commit()
    verdict = inspect(Question(str(path), 60.0))
    assert verdict.damage == []
    assert verdict.migrations is not None
    assert len(verdict.migrations) == 60_000


@pytest.mark.parametrize("error", [ValueError("odd"), sqlite3.DatabaseError("bad")])
def test_error_is_a_verdict_and_not_a_traceback(error: Exception, tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db")
    with mock.patch.object(check_child, "inspect", side_effect=error):
        (damage,) = answer_on(path).damage
    assert damage == f"SQLite can't read it: {error}"


def test_lack_of_memory_is_no_damage(tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db")
    with mock.patch.object(check_child, "inspect", side_effect=MemoryError):
        verdict = answer_on(path)
    assert (verdict.is_out_of_memory, verdict.damage) == (True, [])


@pytest.mark.parametrize("code", [7, 3082])
def test_page_that_memory_did_not_suffice_for_is_no_damage(code: int, tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db")
    finding = f"Tree 2 page 5: unable to get the page. error code={code}"
    with (
        mock.patch.object(pragmas, "find_damage", return_value=[finding]),
        pytest.raises(MemoryError),
    ):
        inspect(Question(str(path), 60.0))


def test_file_that_is_gone_is_a_verdict(tmp_path: Path) -> None:
    verdict = answer_on(tmp_path / "gone.db")
    assert (verdict.unread, verdict.damage) == ("No such file or directory", [])


@pytest.mark.parametrize("code", [10, 266, 8458])
def test_page_that_the_disk_refuses_is_no_damage(code: int, tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db")
    finding = f"Tree 2 page 5: unable to get the page. error code={code}"
    with mock.patch.object(pragmas, "find_damage", return_value=[finding]):
        assert inspect(Question(str(path), 60.0)).unread == f"disk I/O error ({finding})"


@pytest.mark.parametrize("code", [11, 522], ids=["corrupt", "short read"])
def test_page_that_is_bad_itself_is_damage(code: int, tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db")
    finding = f"Tree 2 page 5: unable to get the page. error code={code}"
    with mock.patch.object(pragmas, "find_damage", return_value=[finding]):
        verdict = inspect(Question(str(path), 60.0))
    assert (verdict.unread, verdict.damage) == ("", [finding])


MALFORMED = sqlite3.DatabaseError("database disk image is malformed")


@pytest.mark.parametrize("first", [["failed to get page 7"], MALFORMED], ids=["finding", "error"])
def test_damage_that_is_not_found_again_was_of_the_disk(first: object, tmp_path: Path) -> None:
    path = builders.with_sessions(tmp_path / "x.db", "one", "two")
    with mock.patch.object(pragmas, "find_damage", side_effect=[first, []]):
        verdict = inspect(Question(str(path), 60.0, clear=("sessions",)))
    assert (verdict.damage, verdict.unread) == ([], "")
    assert (verdict.cleared, verdict.changed) == (2, True), "the first check did that"
    assert verdict.migrations == list(builders.MIGRATIONS)


def test_damage_that_is_found_again_is_told_as_it_was_found_first(tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db")
    with mock.patch.object(pragmas, "find_damage", side_effect=[["one"], ["other"]]):
        assert inspect(Question(str(path), 60.0)).damage == ["one"]
