"""Which defects of a snapshot a restore accepts, and what it says about them."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from backups.exceptions import BrokenReferencesError, DamagedSnapshotError, InvalidSnapshotError
from backups.sqlite.checking.defects import Defects, new_ones, total
from backups.sqlite.checking.findings import listed
from backups.sqlite.checking.messages import Verdict
from backups.store import DEFECTS, describe_defects

HINT = (
    "Nothing was staged. Use another copy of this snapshot, or an older one. If the"
    " database itself has these defects, accept them: restore_db PATH --accept-defects, or"
    " ?accept=defects."
)


@dataclass(frozen=True)
class Acceptance:
    """Why a snapshot is accepted although it has defects."""

    words: Collection[str] = ()  # of store.ACCEPTABLE, as given by the caller
    is_ours: bool = False  # this site has sent it, byte for byte
    was_live: bool = False  # this site has run with it
    live_defects: Callable[[], Defects] = dict  # finds those of the live database

    @property
    def takes_any(self) -> bool:
        """Whether it accepts defects that the live database lacks."""
        return self.was_live or self.is_ours or DEFECTS in self.words

    def after(self, defects: Defects) -> tuple[str, ...]:
        """
        The words for later checks, if a snapshot was accepted with these defects. One that this
        site has sent may have more: its indexes are not compared until its migrations have run.
        """
        return tuple(sorted({*self.words, *([DEFECTS] if defects or self.is_ours else [])}))

    def judge(self, verdict: Verdict) -> tuple[str, ...]:
        """
        Return warnings about the defects that are accepted.

        :raises InvalidSnapshotError: there are defects that are not accepted.
        """
        if not verdict.defects:
            return ()
        why = ""
        if not self.takes_any:
            if new := new_ones(verdict.defects, self.live_defects()):
                raise _refuse(verdict, new)
            why = ", which the live database has too"
        found = verdict.defects
        return (f"The snapshot has {total(found)}{why}: {describe_defects(found)}.",)


def _refuse(verdict: Verdict, new: Defects) -> InvalidSnapshotError:
    """The error, in SQLite's words; counts the new defects if the live database has others."""
    is_all = new == verdict.defects
    counted = "" if is_all else f" More than the live database has: {describe_defects(new)}."
    if rules := verdict.broken_rules:
        message = f"The file fails SQLite's integrity check: {listed(rules)}.{counted}"
        return DamagedSnapshotError(message, hint=HINT)
    references = listed(verdict.broken_references)
    message = f"The file fails SQLite's foreign key check: {references}.{counted}"
    return BrokenReferencesError(message, hint=HINT)
