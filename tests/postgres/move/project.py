"""
Small Django projects in a folder, each with a SQLite database and, later, a PostgreSQL one.

Their commands run in processes of their own, with settings of their own.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg

from tests.postgres.server import Server

CHECKOUT = Path(__file__).resolve().parents[3]

SETTINGS = """
import json, os
SECRET_KEY = "only for a test"
USE_TZ = {use_tz}
TIME_ZONE = "{zone}"
INSTALLED_APPS = {apps}
MIDDLEWARE = []
ROOT_URLCONF = "urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {{"default": json.loads(os.environ["SITE_DATABASE"])}}
"""
MANAGE = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""
# Its answer is what ``move_snapshot`` returns or raises, and what it told.
MOVE = """
import json, sys
from pathlib import Path
from backups.exceptions import BackupError
from backups.site.move.move import move_snapshot
source, database, seconds, *applied = sys.argv[1:]
told = []
def tell(*words):
    told.append(words)
    print("told", *words, file=sys.stderr, flush=True)
try:
    moved = move_snapshot(
        "default", Path(source), database, applied=applied, seconds=float(seconds),
        watch=lambda: None, tell=tell,
    )
    answer = {"rows": dict(moved.rows), "warnings": moved.warnings}
except BackupError as error:
    answer = {"error": type(error).__name__, "message": str(error)}
print(json.dumps(answer | {"told": told}))
"""
# Every row of every model, as the site itself reads it.
READ = """
import datetime, decimal, json
import django; django.setup()
from django.apps import apps
from django.db import connection, models

def plain(value):
    # PostgreSQL gives keys another order, and numbers another spelling.
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, datetime.datetime):
        return value.replace(fold=0)
    if isinstance(value, (dict, list)):
        text = json.dumps(value)
        return json.dumps(
            json.loads(text, parse_int=number, parse_float=number), sort_keys=True
        )
    return value

def number(text):
    return str(decimal.Decimal(text).normalize() + 0)

print(json.dumps({
    model._meta.label: sorted(
        repr(list(map(plain, row)))
        for row in model._base_manager.values_list(
            *[field.attname for field in model._meta.concrete_fields]
        ).iterator()
    )
    for model in apps.get_models(include_auto_created=True)
    if model._meta.db_table in connection.introspection.table_names()
}))
"""


@dataclass
class Project:
    """One, in its folder."""

    folder: Path
    server: Server
    apps: tuple[str, ...]
    use_tz: bool = True
    zone: str = "UTC"
    database: str = field(default="")

    def __post_init__(self) -> None:
        self.write("manage.py", MANAGE)
        self.write("move.py", MOVE)
        self.write("read.py", READ)
        self.write("urls.py", "urlpatterns = []\n")
        words = {"use_tz": self.use_tz, "zone": self.zone, "apps": list(self.apps)}
        self.write("settings.py", SETTINGS.format(**words))

    @property
    def file(self) -> Path:
        """Its SQLite database."""
        return self.folder / "site.db"

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def app(self, name: str, models: str, migrations: Mapping[str, str] | None = None) -> None:
        """Write an app; its migrations too, if they are given."""
        self.write(f"{name}/__init__.py", "")
        self.write(f"{name}/models.py", models)
        for migration, text in (migrations or {}).items():
            self.write(f"{name}/migrations/{migration}.py", text)
        if migrations is not None:
            self.write(f"{name}/migrations/__init__.py", "")

    def run(self, script: str, *words: str, on: str = "", **options: Any) -> str:
        """
        Run a script of the project, and return what it printed.

        :param on: the name of a PostgreSQL database; empty for the SQLite one.
        """
        process = subprocess.run(
            [sys.executable, script, *words],
            cwd=self.folder,
            env=self.environment(on),
            capture_output=True,
            text=True,
            check=False,
            **options,
        )
        assert process.returncode == 0, process.stderr
        return str(process.stdout)

    def environment(self, on: str = "") -> dict[str, str]:
        database: dict[str, object] = {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(self.file),
        }
        if on:
            database = {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": on,
                "USER": self.server.role,
                "PASSWORD": self.server.password,
                "HOST": self.server.host,
                "PORT": self.server.port,
            }
        return {
            **os.environ,
            "PYTHONPATH": str(CHECKOUT),
            "DJANGO_SETTINGS_MODULE": "settings",
            "SITE_DATABASE": json.dumps(database),
        }

    def migrate(self) -> None:
        """Make the SQLite database."""
        self.run("manage.py", "migrate", "--run-syncdb", "-v0")

    def execute(self, sql: str, *values: object) -> None:
        """Change the SQLite database with no rule of Django in between."""
        with closing(sqlite3.connect(self.file)) as connection, connection:
            connection.execute(sql, values)

    def insert(self, table: str, **values: str) -> None:
        """Insert a row whose values are SQL, with no rule but SQLite's types."""
        with closing(sqlite3.connect(self.file)) as connection, connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            columns, words = ", ".join(values), ", ".join(values.values())
            connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({words})")

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the SQLite database."""
        with closing(sqlite3.connect(self.file)) as connection:
            return connection.execute(sql).fetchall()

    def applied(self) -> list[str]:
        rows = self.ask("SELECT app, name FROM django_migrations ORDER BY id")
        return [f"{app}.{name}" for app, name in rows]

    def move(self, *, seconds: float = 120) -> dict[str, Any]:
        """Move it into a new database, as a restore does."""
        self.database = self.server.make_database()
        words = str(self.file), self.database, str(seconds), *self.applied()
        answer: dict[str, Any] = json.loads(
            self.run("move.py", *words, on=self.server.make_database())
        )
        return answer

    def rows(self, *, on: str = "") -> dict[str, list[str]]:
        """Every row of every model, as the site reads it."""
        found: dict[str, list[str]] = json.loads(self.run("read.py", on=on))
        return found

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the new database."""
        with psycopg.connect(self.server.conninfo(self.database)) as connection:
            return connection.execute(sql.encode()).fetchall()

    def copied_to(self, folder: Path) -> "Project":
        """The same project in another folder."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return replace(self, folder=folder, database="")

    def shell(self, code: str, *, on: str = "") -> str:
        """Run Python in the site."""
        return self.run("-c", f"import django; django.setup()\n{code}", on=on)
