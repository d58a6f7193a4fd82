"""What is in a snapshot, as its check found."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from backups.sqlite.checking.defects import Defects
from backups.sqlite.checking.messages import Verdict
from backups.sqlite.format.schema import Program


@dataclass(frozen=True)
class Contents:
    """What is in a snapshot with this ``sha256``."""

    migrations: tuple[str, ...]  # ``app.name`` of every applied migration, in order
    tables: Mapping[str, frozenset[str]]  # real tables, with their columns; names are folded
    generated: Mapping[str, frozenset[str]]  # their computed columns
    programs: tuple[Program, ...]  # triggers, views, virtual tables and clauses
    cleared: int  # rows that the check has removed
    changed: bool  # whether the check has changed the file
    sha256: str  # of the file after the check, as 64 hex digits
    account_is_missing: bool
    defects: Defects = field(default_factory=dict)  # those that were accepted
    warnings: tuple[str, ...] = ()  # about what was accepted

    @classmethod
    def of(cls, verdict: Verdict, sha256: str, warnings: tuple[str, ...] = ()) -> "Contents":
        """Build them from a child's verdict, which has the types of JSON."""
        return cls(
            migrations=tuple(verdict.migrations or ()),
            tables={table: frozenset(columns) for table, columns in verdict.tables.items()},
            generated={table: frozenset(names) for table, names in verdict.generated.items()},
            programs=tuple(Program(*words) for words in verdict.programs),
            cleared=verdict.cleared,
            changed=verdict.changed,
            sha256=sha256,
            account_is_missing=verdict.account_is_missing,
            defects=verdict.defects,
            warnings=warnings,
        )
