"""
SQLite's own check of a whole file: ``integrity_check``, then ``foreign_key_check``.

Source: https://www.sqlite.org/pragma.html#pragma_integrity_check
"""

from dataclasses import dataclass, field

from backups.sqlite.checking.defects import place_of
from backups.sqlite.checking.findings import (
    MOST_COUNTED,
    MOST_FINDINGS,
    find_broken_references,
    find_damage,
)
from backups.sqlite.checking.messages import Question
from backups.sqlite.checking.sandbox import Sandbox

WHOLE = f"integrity_check({MOST_COUNTED})"
QUICK = f"quick_check({MOST_COUNTED})"


@dataclass
class Findings:
    """What the checks found: the first few findings of each kind."""

    damage: list[str] = field(default_factory=list)
    broken_rules: list[str] = field(default_factory=list)  # defects that integrity_check found
    broken_references: list[str] = field(default_factory=list)
    defects: dict[str, int] = field(default_factory=dict)  # how many in each place

    def count(self, defects: list[str]) -> list[str]:
        """Count them by place, and return the first few."""
        for finding in defects:
            place = place_of(finding) or finding
            self.defects[place] = self.defects.get(place, 0) + 1
        return defects[:MOST_FINDINGS]


def check_whole(sandbox: Sandbox, question: Question) -> Findings:
    """
    Run the checks that this file needs. References are not checked after damage was found.

    :raises sqlite3.Error: SQLite can't go on.
    """
    found = Findings()
    findings = find_damage(sandbox, question.functions, QUICK if question.is_ours else WHOLE)
    found.damage = [finding for finding in findings if place_of(finding) is None]
    found.broken_rules = found.count([each for each in findings if place_of(each)])
    if not found.damage:
        broken = find_broken_references(sandbox, question.functions)
        found.broken_references = found.count(broken)
    return found
