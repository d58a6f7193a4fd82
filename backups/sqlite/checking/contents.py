"""What a whole snapshot has in it, as the check of it found."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from backups.sqlite.checking.defects import Defects
from backups.sqlite.checking.messages import Verdict
from backups.sqlite.format.schema import Program


@dataclass(frozen=True)
class Contents:
    """What is in a snapshot. The bytes are those that ``sha256`` is of."""

    migrations: tuple[str, ...]  # ``app.name`` of every migration that was applied, in order
    tables: Mapping[str, frozenset[str]]  # of each real table its columns; names are folded
    generated: Mapping[str, frozenset[str]]  # of those the computed columns
    programs: tuple[Program, ...]  # its triggers, views and virtual tables
    cleared: int  # rows that the check has removed
    changed: bool  # whether the bytes are not those that were to be checked any more
    sha256: str  # of the bytes as they are now, as 64 hex digits
    account_is_missing: bool
    defects: Defects = field(default_factory=dict)  # those that it was accepted with
    warnings: tuple[str, ...] = ()  # of what was accepted

    @classmethod
    def of(cls, verdict: Verdict, sha256: str, warnings: tuple[str, ...] = ()) -> "Contents":
        """Read them from the verdict of a child, which has them as JSON has them."""
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
