"""A store and its databases, to be put back after each kill as they were before it."""

from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

from psycopg import sql

from tests.postgres.stores import Store, drop_all

NUMBERS = "SELECT oid, datname FROM pg_database"
READ = """
SELECT coalesce((SELECT jsonb_agg(to_jsonb(state))::text FROM backups.state), '[]'),
       coalesce((SELECT jsonb_agg(to_jsonb(record) ORDER BY id)::text FROM backups.record), '[]')
"""
WRITE = """
TRUNCATE backups.state, backups.record;
INSERT INTO backups.state SELECT * FROM jsonb_populate_recordset(NULL::backups.state, {});
INSERT INTO backups.record OVERRIDING SYSTEM VALUE
SELECT * FROM jsonb_populate_recordset(NULL::backups.record, {});
"""


@dataclass
class Place:
    """The databases of a store as they are when this is made."""

    store: Store
    _numbers: dict[int, str] = field(default_factory=dict)  # of the databases, with their names
    _records: list[tuple[Any, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Copy each, but for the one of state and receipts."""
        self._control = self.store.names.control
        names = self.store.databases()
        if self._control in names:
            self._records = self.store.server.admin(READ, self._control)
        for name in names:
            if name != self._control:
                self._run("CREATE DATABASE {} TEMPLATE {}", _copy(name), name)
        self._remember(names)

    def put_back(self) -> None:
        """Rename the databases back, make those that are gone from their copies, drop new ones."""
        there, around = self._look(), self.store.databases()
        drop_all(
            self.store.server,
            [
                name
                for number, name in there.items()
                if name in around and number not in self._numbers
            ],
        )
        renamed = {
            name: self._numbers[number]
            for number, name in there.items()
            if number in self._numbers and self._numbers[number] != name
        }
        aside = {name: f"aside_{token_hex(4)}" for name in renamed}
        for name, other in aside.items():
            self._run("ALTER DATABASE {} RENAME TO {}", name, other)
        for name, wanted in renamed.items():
            self._run("ALTER DATABASE {} RENAME TO {}", aside[name], wanted)
        for number in self._numbers.keys() - there.keys():
            name = self._numbers[number]
            self._run("CREATE DATABASE {} TEMPLATE {} OWNER {}", name, _copy(name), self._role)
        if self._records:
            words = sql.SQL(WRITE).format(*map(sql.Literal, self._records[0]))
            self.store.server.admin(words.as_string(None), self._control)
        self._remember(list(self._numbers.values()))

    def drop(self) -> None:
        """Drop the databases and their copies."""
        copies = [_copy(name) for name in self._numbers.values()]
        drop_all(self.store.server, [*self.store.databases(), *copies])

    @property
    def _role(self) -> str:
        return self.store.server.role

    def _look(self) -> dict[int, str]:
        return dict(self.store.server.admin(NUMBERS))

    def _remember(self, names: list[str]) -> None:
        self._numbers = {number: name for number, name in self._look().items() if name in names}

    def _run(self, words: str, *names: str) -> None:
        statement = sql.SQL(words).format(*map(sql.Identifier, names))
        self.store.server.admin(statement.as_string(None))


def _copy(name: str) -> str:
    return f"copy_of_{name}"
