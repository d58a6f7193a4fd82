"""A schema that needs what the site registers on its connections is checked with it."""

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from unittest import mock

import pytest

from backups.exceptions import DamagedSnapshotError, UnknownFunctionError
from backups.processes.spawn import run_module
from backups.site import connection_setup
from backups.sqlite.checking.check import check_snapshot
from backups.sqlite.checking.contents import Contents
from backups.sqlite.checking.messages import Question, Verdict
from backups.sqlite.site import Live
from tests.backups import builders
from tests.backups.stand_ins import FakeSite

pytestmark = pytest.mark.proof  # each test starts processes of the whole site

SETTINGS = """
SECRET_KEY = "x"
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "{live}",
    "OPTIONS": {{"init_command": "PRAGMA journal_mode=WAL"}}}}}}
INSTALLED_APPS = ["backups", "strange"]
USE_TZ = True
"""
REGISTER = """
def by_length(a, b):
    return (len(a) > len(b)) - (len(a) < len(b))

def register(connection):
    connection.create_collation("by_length", by_length)
    connection.create_function("slug", 1, lambda text: text.lower(), deterministic=True)

"""
APP = """
import threading, time
from django.apps import AppConfig
from django.db.backends.signals import connection_created
from strange import register

def receive(sender, connection, **_):
    print("the site is talkative")
    register(connection.connection)
    connection.cursor().execute("CREATE TABLE leftover (a)")
    connection.cursor().execute("PRAGMA user_version = 7")

class StrangeConfig(AppConfig):
    name = "strange"

    def ready(self):
        connection_created.connect(receive, weak=False)
        threading.Thread(target=time.sleep, args=[600]).start()
"""


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The database that the settings of a site name, which nobody may touch here."""
    folder, live = tmp_path / "site", tmp_path / "live.db"
    (folder / "strange").mkdir(parents=True)
    (folder / "strange_settings.py").write_text(SETTINGS.format(live=live))
    (folder / "strange/__init__.py").write_text(REGISTER)
    (folder / "strange/apps.py").write_text(APP)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "strange_settings")
    return live


class StrangeSite(FakeSite):
    """One whose connections have more than Django's."""

    setup = ""

    def functions(self) -> str:
        return "django.db.backends.sqlite3._functions"

    def connection_setup(self) -> tuple[str, ...]:
        return "backups.site.connection_setup", "default", self.setup


def by_length(one: str, other: str) -> int:
    return (len(one) > len(other)) - (len(one) < len(other))


def strange(path: Path, *statements: str) -> Path:
    """A snapshot whose schema needs the collation, the function, or another one."""
    builders.healthy(path, "a longer one", "one")
    with closing(sqlite3.connect(path)) as connection:
        connection.create_collation("by_length", by_length)
        connection.create_function("slug", 1, str.lower, deterministic=True)
        connection.create_function("other", 1, str.upper, deterministic=True)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


COLLATION = "CREATE INDEX strange ON items (name COLLATE by_length)"
FUNCTION = "CREATE INDEX stranger ON items (slug(name))"
GENERATED = "CREATE TABLE made (a, b AS (slug(a)) STORED)"
OTHER = "CREATE INDEX other ON items (other(name))"


def check(path: Path, site: FakeSite, *, clear: tuple[str, ...] = ()) -> Contents:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return check_snapshot(descriptor, path, seconds=60, site=site, live=Live(), clear=clear)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("statement", "setup"),
    [
        (COLLATION, ""),
        (GENERATED, ""),
        (COLLATION, "strange.register"),
        (FUNCTION, "strange.register"),
    ],
)
def test_what_the_site_registers_is_known_to_the_check(
    statement: str, setup: str, live: Path, tmp_path: Path
) -> None:
    path = strange(tmp_path / "x.db", statement)
    before = path.read_bytes()
    with mock.patch.object(StrangeSite, "setup", setup):
        assert check(path, StrangeSite()).migrations == builders.MIGRATIONS
    assert path.read_bytes() == before, "no receiver has written into it"
    assert not live.exists()


@pytest.mark.parametrize("processes", [1, 2])
def test_every_process_of_a_check_knows_it(processes: int, live: Path, tmp_path: Path) -> None:
    path = strange(tmp_path / "x.db", COLLATION, FUNCTION)
    setup = tuple(StrangeSite().connection_setup())
    question = Question(str(path), 60, setup=setup, processes=processes, shared_from=0)
    words = json.dumps(asdict(question))
    child = run_module("backups.sqlite.checking.check_child", words, with_site=True)
    verdict = Verdict(**json.loads(child.stdout))
    assert (verdict.doubts, verdict.unknown, verdict.damage) == ([], "", [])
    assert verdict.tables["items"]


def test_damage_is_damage_all_the_same(live: Path, tmp_path: Path) -> None:
    path = strange(tmp_path / "x.db", COLLATION)
    with closing(sqlite3.connect(path)) as connection:
        connection.create_collation("by_length", lambda one, other: -by_length(one, other))
        connection.execute("INSERT INTO items (name) VALUES ('longest of all')")
        connection.commit()
    with pytest.raises(DamagedSnapshotError, match=r"integrity check: .*strange"):
        check(path, StrangeSite())


def test_what_was_cleared_at_the_first_look_is_counted(live: Path, tmp_path: Path) -> None:
    path = builders.with_sessions(tmp_path / "x.db", "one", "two")
    with closing(sqlite3.connect(path)) as connection:
        connection.create_collation("by_length", by_length)
        connection.execute(COLLATION)
        connection.commit()
    contents = check(path, StrangeSite(), clear=("sessions",))
    assert (contents.cleared, contents.changed) == (2, True)


def test_what_nobody_registers_is_named_with_the_setting(live: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownFunctionError) as caught:
        check(strange(tmp_path / "x.db", OTHER), StrangeSite())
    assert str(caught.value) == (
        "The snapshot's schema uses the function other, which the check does not know."
    )
    assert "BACKUPS_CONNECTION_SETUP" in caught.value.hint


@pytest.mark.parametrize("statement", [COLLATION, OTHER])
def test_process_that_knows_the_site_s_secrets_opens_no_file_for_what_nobody_registers(
    statement: str, live: Path, tmp_path: Path
) -> None:
    """Whoever made the file chooses the names in it."""
    path = strange(tmp_path / "x.db", statement)
    wanted = "collation by_length" if statement == COLLATION else "function other"
    setup = list(StrangeSite().connection_setup())
    question = {"path": str(path), "seconds": 60.0, "setup": setup, "wanted": wanted}
    answer = json.loads(
        run_module(
            "backups.sqlite.checking.check_child", json.dumps(question), with_site=True
        ).stdout
    )
    assert answer["is_in_vain"] is (statement == OTHER)
    assert bool(answer["tables"]) is (statement == COLLATION)


@pytest.mark.parametrize(
    ("wanted", "is_known"),
    [
        ("function slug", True),
        ("function SLUG", True),
        ("collation by_length", True),
        ("collation slug", False),
        ("function other", False),
        ("module fts9", False),
    ],
)
def test_names_that_are_registered_are_known_in_any_case(
    wanted: str, monkeypatch: pytest.MonkeyPatch, *, is_known: bool
) -> None:
    registered: list[tuple[str, tuple[object, ...], dict[str, object]]] = [
        ("create_function", (), {"name": "Slug", "narg": 1, "func": str.lower}),
        ("create_collation", ("by_length", by_length), {}),
    ]
    monkeypatch.setattr(connection_setup, "_registered", registered)
    assert connection_setup.knows(wanted) is is_known
    registered.append(("load_extension", ("icu.so",), {}))
    assert connection_setup.knows(wanted), "an extension can bring anything"


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        ("raise RuntimeError('no network')", "RuntimeError: no network"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_site_that_cannot_be_set_up_there_is_no_damage(
    failure: str, told: str, live: Path, tmp_path: Path
) -> None:
    (tmp_path / "site/strange/__init__.py").write_text(failure)
    with pytest.raises(UnknownFunctionError) as caught:
        check(strange(tmp_path / "x.db", COLLATION), StrangeSite())
    assert "uses the collation by_length" in str(caught.value)
    assert f"connections failed there: {told}." in str(caught.value)


def test_site_without_strange_things_is_not_loaded(live: Path, tmp_path: Path) -> None:
    (tmp_path / "site/strange/__init__.py").write_text("raise RuntimeError('loaded')")
    site = StrangeSite()
    assert check(builders.healthy(tmp_path / "x.db"), site).migrations == builders.MIGRATIONS
