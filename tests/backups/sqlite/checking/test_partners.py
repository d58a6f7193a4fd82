"""Several processes find in a large file what one finds, and what SQLite's own check finds."""

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from backups.processes.spawn import run_module
from backups.sqlite.checking.inspection import inspect
from backups.sqlite.checking.messages import CHANGED, UNCHANGED, Question, Verdict
from tests.backups.scripts import run_script
from tests.backups.sqlite.checking.indexed_databases import DAMAGE, indexed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return indexed(tmp_path / "x.db")


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def asked(path: Path, processes: int = 1) -> Question:
    """So that a small file gets the quicker check too."""
    return Question(str(path), seconds=30.0, processes=processes, shared_from=0)


def verdict_on(question: Question) -> Verdict:
    """What the child answers."""
    words = json.dumps(asdict(question))
    inherit = (question.settled,) if question.settled >= 0 else ()
    child = run_module("backups.sqlite.checking.check_child", words, inherit=inherit)
    assert child.stderr == b""
    return Verdict(**json.loads(child.stdout))


@pytest.mark.parametrize(
    ("kind", "processes"),
    [(None, 1), (None, 2), (None, 5), *((kind, 2) for kind in DAMAGE)],
)
def test_quicker_check_changes_no_verdict(kind: str | None, processes: int, path: Path) -> None:
    if kind is not None:
        DAMAGE[kind](path)
    whole = inspect(replace(asked(path), shared_from=10**9))
    looked = verdict_on(asked(path, processes))
    assert not whole.doubts
    assert bool(looked.doubts) == bool(whole.damage or whole.defects) == (kind is not None)
    assert replace(looked, doubts=[], by_sqlite=[]) == whole


@pytest.mark.parametrize("processes", [1, 2])
def test_table_that_only_sqlite_can_compare_is_named(processes: int, path: Path) -> None:
    change(path, "CREATE TABLE odd (rowid, oid, _rowid_)", "CREATE INDEX odd_oid ON odd (oid)")
    tables = verdict_on(asked(path, processes)).by_sqlite
    assert tables == ["keyed", "odd"]


@pytest.mark.parametrize("processes", [1, 2])
def test_broken_references_are_found(processes: int, path: Path) -> None:
    change(
        path,
        "CREATE TABLE refers (id INTEGER PRIMARY KEY, to_id REFERENCES long)",
        "INSERT INTO refers VALUES (7, 999999)",
    )
    verdict = verdict_on(asked(path, processes))
    assert not verdict.damage
    assert verdict.broken_references == [
        "row 7 of refers refers to a row of long that is not there"
    ]


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(("clear", "word"), [(("long",), CHANGED), ((), UNCHANGED)])
def test_who_waits_to_hash_the_file_is_told_once(
    processes: int, path: Path, *, clear: tuple[str, ...], word: bytes
) -> None:
    DAMAGE["row missing from an index of another table"](path)  # so there is a second check too
    told, tell = os.pipe()
    verdict = verdict_on(replace(asked(path, processes), settled=tell, clear=clear))
    os.close(tell)
    assert verdict.doubts
    with open(told, "rb") as words:
        assert words.read() == word


def test_file_that_was_sent_gets_only_sqlites_quick_check(path: Path) -> None:
    DAMAGE["row missing from an index"](path)
    verdict = verdict_on(replace(asked(path, 2), is_ours=True))
    assert (verdict.doubts, verdict.damage, verdict.defects) == ([], [], {})


LOOK = """
    import os
    from contextlib import closing
    from pathlib import Path
    from backups.processes import forks
    from backups.sqlite.checking import partners
    from backups.sqlite.checking.inspection import inspect
    from backups.sqlite.checking.messages import Question
    from backups.sqlite.checking.partners import Partners, Share
    {before}
    question = Question({path!r}, 30.0, processes={processes}, shared_from=0)
    with closing(Partners(question)) as others:
        {then}
        print(len(others._forks), inspect(question, others).doubts)
"""


def look(path: Path, *, before: str = "", then: str = "", processes: int = 2) -> str:
    """How many others looked, and their doubts, when something goes wrong."""
    ended = run_script(LOOK.format(path=str(path), before=before, then=then, processes=processes))
    assert ended.stderr == ""
    return ended.stdout.strip()


def test_there_are_as_many_processes_as_asked_for(path: Path) -> None:
    assert look(path, processes=1) == "0 []"
    assert look(path, processes=4) == "3 []"


def test_small_file_gets_no_quicker_check(path: Path) -> None:
    assert look(path, then="assert others.is_wanted") == "1 []"
    bigger = f"question = Question({str(path)!r}, 30.0, processes=2)"
    then = f"{bigger}; others = Partners(question); assert not others.is_wanted"
    assert look(path, then=then) == "0 []"


NOTHING_HERE = "partners._take_share = lambda *_: Share()"


def test_other_process_takes_what_is_left(path: Path) -> None:
    """This process takes no part, and all of them are done."""
    then = f"{NOTHING_HERE}; Share.take = None"
    assert look(path, then=then) == "1 []"


@pytest.mark.parametrize(
    "end", ["os.kill(os.getpid(), 9)", "os._exit(0)", "1 / 0"], ids=["killed", "ended", "failed"]
)
def test_other_process_that_ends_leaves_nothing_unchecked(end: str, path: Path) -> None:
    DAMAGE["row missing from an index of another table"](path)
    found = look(path, before=f"partners._share = lambda *_: {end}", then=NOTHING_HERE, processes=3)
    assert found == "2 ['rows are missing from index short_other']"


OTHER_LIST = """
    find, this = partners.find_parts, os.getpid()
    def find_less(*words):
        found = find(*words)
        return found if os.getpid() == this else [p for p in found if p.name != "index short_other"]
    partners.find_parts = find_less
"""


def test_other_process_that_finds_other_parts_leaves_nothing_unchecked(path: Path) -> None:
    """As it may if an error of the disk or a lack of memory hits it while it looks for them."""
    DAMAGE["row missing from an index of another table"](path)
    found = look(path, before=OTHER_LIST, then=NOTHING_HERE)
    assert found == "1 ['rows are missing from index short_other']"


def test_other_process_that_never_takes_a_part_is_not_waited_for(path: Path) -> None:
    hangs = "import time; partners._share = lambda *_: time.sleep(60)"
    assert look(path, before=hangs, processes=3) == "2 []"


def test_other_process_loads_and_opens_nothing_if_no_part_is_handed_out(path: Path) -> None:
    ended = run_script(f"""
        import os
        from backups.sqlite.checking import partners
        parts, hand_out = os.pipe()
        os.close(hand_out)
        partners.load_setup = partners.Sandbox = None
        print(partners._share(partners.Question({str(path)!r}, 30.0, processes=2), parts))
    """)
    assert (ended.stdout, ended.stderr) == ("b''\n", "")


@pytest.mark.parametrize(
    ("words", "others"),
    [
        ("processes=64", 32),
        ("processes=64, memory_bytes=128 * 1024**2", 4),
        ("processes=64, setup=('site', 'x')", 1),
        ("processes=1, setup=('site', 'x')", 0),
    ],
)
def test_no_more_start_than_the_memory_is_enough_for(words: str, others: int, path: Path) -> None:
    more = f"more = Partners(Question({str(path)!r}, 30.0, shared_from=0, {words}))"
    count = f"{more}; print(len(more._forks)); more.close()"
    assert look(path, then=count, processes=1) == f"{others}\n0 []"


def test_file_is_opened_though_no_more_files_than_a_few_can_be(path: Path) -> None:
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))"
    assert look(path, before=few, processes=64).endswith(" []")


def test_file_is_checked_by_one_process_where_no_other_starts(path: Path) -> None:
    refused = "def refused(*_): raise OSError('too many')\n    os.fork = refused"
    assert look(path, before=refused) == "0 []"
