"""The move itself, step by step, in the child."""

import math
import sqlite3
import time
import traceback
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from django.db import connections
from django.db.backends.sqlite3.base import DatabaseWrapper as Sqlite
from django.db.utils import Error as DjangoError

from backups.site.migrations import SnapshotLoader
from backups.site.move.answer import DONE, FAILED, NO_FAULT, SERVER, UNFIT, Answer
from backups.site.move.columns import Columns, types_of_unmanaged
from backups.site.move.constraints import PutOff
from backups.site.move.declared import make_declared
from backups.site.move.faults import Faults
from backups.site.move.references import find_broken_references
from backups.site.move.refusals import refused
from backups.site.move.schema import FailedMigrationError, make_tables
from backups.site.move.sequences import set_sequences
from backups.site.move.source import Source
from backups.site.move.tables import Sum, TableMove
from backups.site.move.target import Tables, TargetColumn, match, read_tables
from backups.site.names import some
from backups.sqlite.format.schema import fold, quote
from backups.store import Tell

LOOK_SECONDS = 0.5  # between two words on how far it is

# Whatever the role's own settings are. The first ends a statement when this process is gone.
SESSION = (
    "SET client_connection_check_interval = '2s'",
    "SET statement_timeout = 0",
    "SET lock_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
    "SET bytea_output = 'hex'",
    "SET DateStyle = 'ISO'",
)


class DifferenceError(Exception):
    """A table does not come back as it was sent."""


class Moving:
    """One move."""

    def __init__(self, alias: str, source: Path, applied: Collection[str], tell: Tell) -> None:
        self._alias, self._path, self._applied, self._tell = alias, source, applied, tell
        self._faults = Faults()
        self._warnings: list[str] = []

    def run(self) -> Answer:
        """Never raises for what the snapshot, the site's migrations or the server do."""
        try:
            with closing(Source(self._path)) as source:
                return self._run(source)
        except DifferenceError as error:
            return Answer(FAILED, message=str(error))
        except (psycopg.Error, DjangoError) as error:
            traceback.print_exc()
            return refused("The move to PostgreSQL failed", error)
        except (sqlite3.Error, OSError) as error:
            traceback.print_exc()
            return Answer(NO_FAULT, message=f"The snapshot can't be read: {error}.")

    def _run(self, source: Source) -> Answer:
        connection = connections[self._alias]
        connection.ensure_connection()
        connection.set_autocommit(True)
        raw: Any = connection.connection
        if (encoding := raw.info.parameter_status("server_encoding")) != "UTF8":
            return Answer(SERVER, message=f"The database has the encoding {encoding}, not UTF8.")
        for statement in SESSION:
            raw.execute(statement)
        there = [table.name for table in source.tables]
        try:
            loader = make_tables(connection, self._applied, there, self._hear("migrations"))
        except FailedMigrationError as error:
            traceback.print_exc()
            what = f"The snapshot's migrations failed on PostgreSQL, in {error}"
            return refused(what, error.__cause__ or error)
        except Exception as error:
            traceback.print_exc()
            return refused("The tables of the snapshot's models can't be made", error)
        rows: Mapping[str, int] = {}
        with raw.transaction():
            rows = self._fill(source, loader, connection, raw)
        if self._faults:
            return Answer(UNFIT, message=self._faults.sentence())
        raw.execute("ANALYZE")
        self._warnings += _left_behind(source)
        return Answer(DONE, rows, tuple(self._warnings))

    def _fill(
        self, source: Source, loader: SnapshotLoader, connection: Any, raw: Any
    ) -> Mapping[str, int]:
        """In a transaction, which ends without a change if anything does not fit."""
        zone, unmanaged = str(connection.timezone_name), types_of_unmanaged(loader, connection)
        self._warnings += make_declared(raw, source, read_tables(raw), zone, unmanaged)
        tables = read_tables(raw)
        moves = self._plan(source, loader, connection, tables)
        put_off = PutOff(raw)
        enforced = {(each.table, *each.columns) for each in put_off.foreign_keys}
        find_broken_references(source, tables, enforced, self._faults)
        raw.execute("SET CONSTRAINTS ALL IMMEDIATE")  # or a row is refused when all are sent
        raw.execute(f"TRUNCATE {', '.join(map(quote, tables))} RESTART IDENTITY")
        sums = self._send(moves, raw)
        self._stop_if_unfit()
        self._compare(moves, sums, raw)
        given = {str(match(table.name, tables)): table.name for table in source.tables}
        highest = {name: source.sequences.get(fold(old), 0) for name, old in given.items()}
        set_sequences(raw, highest, self._faults)
        self._tell("constraints", 0, None)
        put_off.put_back(self._faults)
        self._stop_if_unfit()
        return dict.fromkeys(tables, 0) | {name: total.rows for name, total in sums.items()}

    def _plan(
        self, source: Source, loader: SnapshotLoader, connection: Any, tables: Tables
    ) -> list[TableMove]:
        sqlite = Sqlite(
            {**connection.settings_dict, "NAME": ":memory:", "OPTIONS": {}}, self._alias
        )
        columns, moves = Columns(loader, sqlite, connection), []
        for table in source.tables:
            name = str(match(table.name, tables))
            if _is_search_index(tables[name]):
                self._warnings.append(
                    f"The rows of {name} were left out: they are a search index, and each database"
                    " has one of its own kind. Build it anew (Wagtail: manage.py update_index)."
                )
                continue
            moves.append(TableMove(source, table, name, columns.of(table, name, tables[name])))
        return moves

    def _send(self, moves: list[TableMove], raw: Any) -> dict[str, Sum]:
        total = sum(move.count() for move in moves)
        tell, sums = self._count("rows", total), {}
        for move in moves:
            sums[move.name] = move.send(raw, self._faults, tell)
            self._warnings += move.warnings()
        return sums

    def _compare(self, moves: list[TableMove], sums: Mapping[str, Sum], raw: Any) -> None:
        tell = self._count("comparison", sum(each.rows for each in sums.values()))
        for move in moves:
            sent, found = sums[move.name], move.read_back(raw, tell)
            if sent != found:
                raise DifferenceError(
                    f"The table {move.name} is not in PostgreSQL as it was sent: {found.rows:,} of"
                    f" {sent.rows:,} rows came back"
                    f"{', with other values' if found.rows == sent.rows else ''}."
                )

    def _stop_if_unfit(self) -> None:
        if self._faults:
            raise psycopg.Rollback

    def _hear(self, step: str) -> Callable[[int, int], None]:
        return lambda done, total: self._tell(step, done, total)

    def _count(self, step: str, total: int) -> Callable[[int], None]:
        """Tells now and then how much of a step is done."""
        done, told = 0, -math.inf

        def add(rows: int) -> None:
            nonlocal done, told
            done += rows
            if (now := time.monotonic()) - told >= LOOK_SECONDS or done == total:
                told = now
                self._tell(step, done, total)

        return add


def _is_search_index(columns: Mapping[str, TargetColumn]) -> bool:
    """Whether no row can be without what PostgreSQL alone makes of its words."""
    return any(each.type == "tsvector" and each.is_required for each in columns.values())


def _left_behind(source: Source) -> list[str]:
    """Warnings of what stays behind: it is SQLite's own."""
    warnings = []
    programs = [str(each) for each in source.schema.programs if each.kind != "clause"]
    if programs:
        warnings.append(
            f"What is written in SQLite's own SQL was left out: the {some(programs)}. The site's"
            " migrations make those that PostgreSQL has."
        )
    if source.shadows:
        warnings.append(f"The tables of virtual tables were left out: {some(source.shadows)}.")
    return warnings
