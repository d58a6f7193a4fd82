"""
The databases of a run on PostgreSQL: each data folder of a test has one of its own, as it has a
file of its own with SQLite. See ``tests.postgres.serving``.
"""

import os
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

NAMED = "TESTS_DATABASE_URL"  # a database of the server that the run is on


def variables(data_dir: Path) -> dict[str, str]:
    """What a process of the site needs to know; nothing if the run is on SQLite."""
    if NAMED not in os.environ:
        return {}
    return {"TASKDOG_DATABASE_URL": _url(_made(data_dir))}


def copy(data_dir: Path, to: Path) -> None:
    """Copy the database of a folder, which nobody has open."""
    if NAMED in os.environ:
        _run(f"CREATE DATABASE {_name(to)} TEMPLATE {_made(data_dir)}")
        if _is_there(f"{_name(data_dir)}_backups"):  # the state and the receipts
            _run(f"CREATE DATABASE {_name(to)}_backups TEMPLATE {_name(data_dir)}_backups")


@cache
def _made(data_dir: Path) -> str:
    name = _name(data_dir)
    if not _is_there(name):
        _run(f"CREATE DATABASE {name}")
    return name


def _is_there(name: str) -> bool:
    return bool(_run(f"SELECT FROM pg_database WHERE datname = '{name}'"))


def _name(data_dir: Path) -> str:
    return f"of_{sha256(os.fsencode(data_dir.absolute())).hexdigest()[:16]}"


def _url(name: str) -> str:
    return urlsplit(os.environ[NAMED])._replace(path=f"/{name}").geturl()


def _run(statement: str) -> int:
    with psycopg.connect(os.environ[NAMED], autocommit=True) as connection:
        return connection.execute(statement).rowcount


def connect(data_dir: Path) -> "psycopg.Connection[tuple[Any, ...]]":
    """Open the database of a folder."""
    return psycopg.connect(_url(_made(data_dir)), autocommit=True)
