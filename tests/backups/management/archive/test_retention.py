"""``backups prune``, ``delete``, ``hold`` and ``release``, as an operator runs them."""

import io
import json
from collections.abc import Callable
from typing import NamedTuple

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from backups.archive.catalog import Catalog
from backups.archive.storing import get_catalog
from backups.management.commands.backups import Command
from backups.services import get_store
from tests.backups.archive.entries import put
from tests.backups.archive.refusing import RefusingStorage
from tests.backups.archive.stored_in import store_in
from tests.site import Site

IDS = [f"20260101-12000{number}" for number in range(9)]  # the rules keep 7, and the oldest


class Ended(NamedTuple):
    """What a command printed, and how it ended."""

    out: str
    err: str
    code: int


Run = Callable[..., Ended]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``manage.py backups`` with these words, and answer what it asks."""

    def run_it(*words: str, answer: str = "") -> Ended:
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        try:
            call_command(Command(), *words)
        except CommandError as error:
            out, err = capsys.readouterr()
            return Ended(out, f"{err}{error}", error.returncode)
        return Ended(*capsys.readouterr(), 0)

    return run_it


@pytest.fixture
def catalog(live: Site) -> Catalog:
    """Nine are stored."""
    catalog = get_catalog()
    for each in IDS:
        put(catalog, each)
    return catalog


def ids(catalog: Catalog) -> list[str]:
    return sorted(each.id for each in catalog.snapshots())


def test_prune_says_the_verdict_on_each_and_deletes(run: Run, catalog: Catalog) -> None:
    dry = run("prune", "--dry-run")
    assert dry.code == 0
    *verdicts, gap, summary = dry.out.splitlines()
    assert verdicts[0] == (
        "20260101-120008  keep    last good one, last 7, hourly, daily, weekly, monthly"
    )
    assert verdicts[-2:] == [
        "20260101-120001  delete  no rule keeps it",
        "20260101-120000  keep    the oldest",
    ]
    assert gap == ""
    assert summary == "Of 9 snapshots, 8 would stay. A dry run deletes nothing."
    assert ids(catalog) == IDS

    ended = run("prune")
    assert ended.code == 0
    assert ended.out.splitlines()[:-1] == [*verdicts, ""]
    where = catalog.files.where
    assert ended.out.splitlines()[-1] == f"Of 9 snapshots in {where}, 1 was deleted; 8 stay."
    assert ids(catalog) == [IDS[0], *IDS[2:]]
    assert run("prune", "-v", "0") == run("-v", "0", "prune") == ("", "", 0)


def test_prune_for_programs(run: Run, catalog: Catalog) -> None:
    answer = json.loads(run("prune", "--json").out)
    assert answer["where"] == catalog.files.where
    assert answer["verdicts"][-2] == {
        "id": "20260101-120001",
        "kept": False,
        "reasons": ["no rule keeps it"],
        "deleted": True,
        "refusal": "",
    }


def test_prune_says_what_was_refused(run: Run, catalog: Catalog, settings: Settings) -> None:
    store_in(settings, RefusingStorage, location=get_store().archive_folder())
    ended = run("prune")
    assert ended.code == 0
    *_, summary, words, refusal = ended.out.splitlines()
    assert summary == f"Of 9 snapshots in {catalog.files.where}, none was deleted; 8 stay."
    assert words == "1 could not be deleted. The next prune tries again:"
    assert refusal.startswith(f"{IDS[1]}  ")
    assert "AccessDenied: s3:DeleteObject" in refusal
    assert ids(catalog) == IDS


def test_delete_asks_and_shows_what_it_deletes(run: Run, catalog: Catalog) -> None:
    refused = run("delete", IDS[1], answer="n\n")
    assert refused.code == 1
    assert "Nothing was changed." in refused.err
    assert f"{IDS[1]}  17 bytes  alice  not verified" in refused.err
    assert ids(catalog) == IDS
    ended = run("delete", IDS[1], answer="y\n")
    assert (ended.code, ended.out) == (0, f"Deleted taskdog-backup-{IDS[1]}.db.zst.\n")
    assert ids(catalog) == [IDS[0], *IDS[2:]]


def test_delete_refuses_the_last_good_one_and_says_what_to_do(run: Run, catalog: Catalog) -> None:
    refused = run("delete", "latest", "--yes")
    assert refused.code == 1
    assert f"{IDS[-1]} is the last good one" in refused.err
    assert "--force" in refused.err
    assert run("delete", "latest", "--yes", "--force").code == 0
    assert ids(catalog) == IDS[:-1]


def test_held_one_is_kept_until_it_is_released(run: Run, catalog: Catalog) -> None:
    held = run("hold", IDS[1], "--reason", "before the move")
    assert held.out == f"taskdog-backup-{IDS[1]}.db.zst is held until it is released.\n"
    assert f"{IDS[1]}  keep    held\n" in run("prune").out
    assert "(before the move)" in run("list").out
    refused = run("delete", IDS[1], "--yes")
    assert (refused.code, "is held by" in refused.err) == (1, True)
    released = run("release", IDS[1])
    assert released.out == f"taskdog-backup-{IDS[1]}.db.zst is not held any more.\n"
    run("prune")
    assert IDS[1] not in ids(catalog)


@pytest.mark.parametrize("verb", ["delete", "hold", "release"])
def test_an_id_that_nothing_has_is_refused(verb: str, run: Run, catalog: Catalog) -> None:
    refused = run(verb, "20200101-000000")
    assert refused.code == 1
    assert "There is no stored snapshot '20200101-000000'" in refused.err
    assert ids(catalog) == IDS


def test_what_a_server_decides_itself_is_not_done_here_in_its_place(
    run: Run, catalog: Catalog, settings: Settings
) -> None:
    settings.BACKUPS_REMOTE_URL = "https://tasks.example.org"
    refused = run("prune")
    assert refused.code == 1
    assert "that of https://tasks.example.org" in refused.err
    assert ids(catalog) == IDS
    assert run("prune", "--local").code == 0
