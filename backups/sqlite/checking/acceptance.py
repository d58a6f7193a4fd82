"""Which defects of a snapshot a restore accepts, and what it says about them."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from backups.exceptions import BrokenReferencesError, DamagedSnapshotError, InvalidSnapshotError
from backups.sqlite.checking.defects import Defects, new_ones, total
from backups.sqlite.checking.findings import MOST_FINDINGS
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
    live_defects: Callable[[], Defects] = dict  # looks for those of the live database

    @property
    def takes_any(self) -> bool:
        """Whether there is no need to ask what the live database has."""
        return self.was_live or self.is_ours or DEFECTS in self.words

    def after(self, defects: Defects) -> tuple[str, ...]:
        """
        The words for the checks that are still to come, if it was accepted with these. Of what this
        site has sent, the indexes are compared with their tables only after its migrations.
        """
        with_defects = bool(defects) or self.is_ours
        return tuple(sorted({*self.words, *([DEFECTS] if with_defects else [])}))

    def judge(self, verdict: Verdict) -> tuple[str, ...]:
        """
        Return the warnings that count what is accepted.

        :raises InvalidSnapshotError: there are defects that are not accepted.
        """
        if not verdict.defects:
            return ()
        why = ""
        if not self.takes_any:
            if new := new_ones(verdict.defects, self.live_defects()):
                raise _refuse(verdict, new)
            why = ", which the live database has too"
        return (
            f"The snapshot has {total(verdict.defects)}{why}: {describe_defects(verdict.defects)}.",
        )


def _refuse(verdict: Verdict, new: Defects) -> InvalidSnapshotError:
    """In SQLite's own words; how many there are is of interest if they are many."""
    counted = (
        ""
        if new == verdict.defects
        else f" More than the live database has: {describe_defects(new)}."
    )
    if verdict.broken_rules:
        return DamagedSnapshotError(
            f"The file fails SQLite's integrity check: {_list(verdict.broken_rules)}.{counted}",
            hint=HINT,
        )
    return BrokenReferencesError(
        f"The file fails SQLite's foreign key check: {_list(verdict.broken_references)}.{counted}",
        hint=HINT,
    )


def _list(findings: list[str]) -> str:
    return "; ".join(finding.rstrip(".") for finding in findings[:MOST_FINDINGS])
