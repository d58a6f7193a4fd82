"""
Decide which stored snapshots stay, and why. Reads and deletes nothing.

The rules count as restic's ``forget`` does. ``daily`` keeps the newest snapshot of each of so many
days *that have one*, so nothing goes while no new snapshot comes. Days, weeks (from Monday), months
and years are those of the site's time zone. The hour that comes twice when summer time ends counts
as two. A rule with places left keeps the oldest snapshot too.

Besides what the rules keep, these stay:

1. A held snapshot.
2. The last good one: the newest that was found restorable. If there is none: the newest that is not
   known to be damaged.
3. A snapshot without a readable manifest: it may be held, or is just being stored.
4. A snapshot whose time is in the future: a clock was wrong, then or now.

The last two kinds take no place of a rule. A snapshot that is known to be damaged takes none
either. It stays as long as it would if it were good, since the finding may be wrong.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from backups.archive import names
from backups.archive.catalog import StoredSnapshot
from backups.exceptions import KeepError

Keep = Mapping[str, int]  # how many of each period; 0 for a period that is not named

# What two snapshots of the same period have in common, for ``strftime``.
PERIODS = {
    "hourly": "%Y-%m-%d %H %z",  # with the offset from UTC, which tells the two hours apart
    "daily": "%Y-%m-%d",
    "weekly": "%G-%V",
    "monthly": "%Y-%m",
    "yearly": "%Y",
}
RULES = ("last", *PERIODS)

HELD = "held"
LAST_GOOD = "last good one"
UNKNOWN = "no manifest that can be read"
AHEAD = "its time is in the future"
OLDEST = "the oldest"
NOT_LIMITED = "everything is kept"
NO_RULE = "no rule keeps it"
DAMAGED = "damaged"
REFUSED = "refused"


@dataclass(frozen=True)
class Verdict:
    """Whether a stored snapshot stays, and what came of that."""

    snapshot: StoredSnapshot
    is_kept: bool
    reasons: tuple[str, ...]  # in a few words each: "last 7", "daily", "held"
    is_deleted: bool = False
    refusal: str = ""  # a sentence: why it is still there, although it should not be


def read_keep(given: object) -> Keep | None:
    """
    BACKUPS_KEEP: None to keep everything.

    :raises KeepError: it is not a dict of known rules with a number each, or it keeps nothing.
    """
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise KeepError(f"BACKUPS_KEEP is {given!r}, which is not a dict.")
    if unknown := [each for each in given if each not in RULES]:
        words = ", ".join(map(repr, unknown))
        raise KeepError(f"BACKUPS_KEEP has {words}, which is none of: {', '.join(RULES)}.")
    for rule, places in given.items():
        if not isinstance(places, int) or isinstance(places, bool) or places < 0:
            raise KeepError(f"BACKUPS_KEEP has {places!r} for {rule!r}, which is not a number.")
    if not any(given.values()):
        raise KeepError("BACKUPS_KEEP has no number above 0: only the last good one would stay.")
    return dict(given)


def judge(
    snapshots: Iterable[StoredSnapshot], keep: Keep | None, *, now: datetime, zone: tzinfo
) -> list[Verdict]:
    """
    The verdict on each, the newest first.

    :param keep: None to keep everything.
    :param zone: the site's time zone, in which days begin.
    """
    found = sorted(snapshots, key=lambda each: names.order_of(each.id), reverse=True)
    good = find_last_good(found, now=now)
    counted = [each for each in found if each.manifest is not None and each.taken_at <= now]
    by_rule = _by_rule([each for each in counted if not is_damaged(each)], keep or {}, zone)
    if_good = _by_rule(counted, keep or {}, zone)
    verdicts = []
    for each in found:
        rules = (if_good if is_damaged(each) else by_rule)[each.id]
        reasons = [*explain_kept(each, good=good, now=now), *rules]
        reasons += [NOT_LIMITED] if keep is None else []
        is_kept = bool(reasons)
        notes = [DAMAGED] if is_damaged(each) else []
        verdicts.append(Verdict(each, is_kept, (*(reasons or [NO_RULE]), *notes)))
    return verdicts


def explain_kept(
    stored: StoredSnapshot, *, good: StoredSnapshot | None, now: datetime
) -> list[str]:
    """Why it must stay, whatever the rules say; empty if it need not."""
    return [
        reason
        for reason, is_so in (
            (HELD, stored.hold is not None),
            (LAST_GOOD, good is not None and good.id == stored.id),
            (UNKNOWN, stored.manifest is None),
            (AHEAD, stored.taken_at > now),
        )
        if is_so
    ]


def find_last_good(snapshots: Iterable[StoredSnapshot], *, now: datetime) -> StoredSnapshot | None:
    """
    The newest that was found restorable. If there is none: the newest that is not known to be
    damaged, or None. One whose time is in the future counts only if there are no others.
    """
    sound = [each for each in snapshots if each.manifest is not None and not is_damaged(each)]
    found = [each for each in sound if each.taken_at <= now] or sound
    verified = [each for each in found if each.verification and each.verification.is_good]
    fit = [each for each in found if not each.verification or each.verification.outcome != REFUSED]
    return max(verified or fit or found, key=lambda each: names.order_of(each.id), default=None)


def is_damaged(stored: StoredSnapshot) -> bool:
    """Whether it is known to have been changed or cut off since it was stored."""
    if stored.manifest is None:
        return False
    verification = stored.verification
    return bool(stored.problem) or (verification is not None and verification.outcome == "damaged")


def _by_rule(
    snapshots: Sequence[StoredSnapshot], keep: Keep, zone: tzinfo
) -> Mapping[str, list[str]]:
    """The rules that keep each, by its id. ``snapshots`` has the newest first."""
    kept = defaultdict[str, list[str]](list)
    for rule in RULES:
        places, before = keep.get(rule, 0), ""
        for each in snapshots:
            if not places:
                break
            period = _period(each, rule, zone)
            if period != before:
                kept[each.id].append(f"last {keep[rule]}" if rule == "last" else rule)
                places, before = places - 1, period
            elif each is snapshots[-1] and OLDEST not in kept[each.id]:
                kept[each.id].append(OLDEST)
    return kept


def _period(stored: StoredSnapshot, rule: str, zone: tzinfo) -> str:
    if rule == "last":
        return stored.id  # each is its own
    return stored.taken_at.astimezone(zone).strftime(PERIODS[rule])
