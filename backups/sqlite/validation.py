"""Is this file a whole database, and what is in it? Header first, then SQLite in a child."""

import json
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backups.child import last_line, run_module
from backups.exceptions import (
    BrokenReferencesError,
    CheckTimedOutError,
    DamagedSnapshotError,
    ForeignDatabaseError,
    StoreFolderError,
)
from backups.sqlite.header import check_header
from backups.sqlite.release import Release


@dataclass(frozen=True)
class Contents:
    """What a whole snapshot says of itself."""

    migrations: tuple[str, ...]  # ``app.name`` of every migration that was applied, in order
    tables: frozenset[str]


def check_snapshot(
    descriptor: int, path: Path, *, seconds: float, release: Release, historic: Collection[str]
) -> Contents:
    """
    Check an untrusted file, and say what is in it. Reads only.

    In order: the header, the length, ``integrity_check``, ``foreign_key_check``, the presence
    of ``django_migrations``, that no migration is newer than this release, that no table is
    missing.

    :param descriptor: the open file; ``path`` is its name, for the child.
    :param seconds: wall clock time that SQLite's checks may take.
    :param historic: migrations that count as known, because the live database has them.
    :raises InvalidSnapshotError: a subclass for each check, with a sentence of its own.
    :raises StoreFolderError: the system refuses to read it, which says nothing of the file.
    """
    contents = _read_whole(descriptor, path, seconds)
    release.check_known(contents.migrations, historic)
    release.check_tables(contents.migrations, contents.tables)
    return contents


def _read_whole(descriptor: int, path: Path, seconds: float) -> Contents:
    check_header(descriptor)
    verdict = _ask_child(path, seconds)
    if reason := verdict.get("unread"):
        raise StoreFolderError(f"{path} could not be read to be checked: {reason}.")
    if verdict["damage"]:
        raise DamagedSnapshotError(
            f"The file fails SQLite's integrity check: {_list(verdict['damage'])}."
        )
    if verdict["broken_references"]:
        raise BrokenReferencesError(
            f"The file fails SQLite's foreign key check: {_list(verdict['broken_references'])}."
        )
    if verdict["migrations"] is None:
        raise ForeignDatabaseError(
            "The file is a SQLite database, but not one of this site: it has no table"
            " django_migrations."
        )
    return Contents(tuple(verdict["migrations"]), frozenset(verdict["tables"]))


def _ask_child(path: Path, seconds: float) -> dict[str, Any]:
    """Run the checks in a child, whose word on stdout counts and not its exit code."""
    try:
        child = run_module("backups.sqlite.integrity", str(path), seconds=seconds)
    except subprocess.TimeoutExpired:
        raise CheckTimedOutError(
            f"The check of the file was stopped: it did not end within {seconds:g} seconds."
        ) from None
    try:
        verdict: dict[str, Any] = json.loads(child.stdout)
    except ValueError:
        raise DamagedSnapshotError(
            f"SQLite could not check the file: the check ended with {_ending(child)}."
        ) from None
    return verdict


def _ending(child: "subprocess.CompletedProcess[bytes]") -> str:
    if child.returncode < 0:
        return f"signal {-child.returncode}"
    return f"exit code {child.returncode}: {last_line(child.stderr) or 'it printed nothing'}"


def _list(findings: list[str]) -> str:
    return "; ".join(finding.rstrip(".") for finding in findings)
