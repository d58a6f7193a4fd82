"""The words of a notice, for people and for programs."""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils.timesince import timesince
from django.utils.translation import override

from backups.archive import services
from backups.archive.state import State
from backups.conf import conf
from backups.exceptions import BackupError, printable

FAILED, MISSED, RECOVERED, TEST = "failed", "missed", "recovered", "test"
BEGAN, SUCCEEDED = "began", "succeeded"  # only a monitor is told these

TITLES = {
    FAILED: "a backup failed",
    MISSED: "a backup was missed",
    RECOVERED: "backups work again",
    TEST: "a test of the notices",
    BEGAN: "a backup has begun",
    SUCCEEDED: "a backup succeeded",
}


@dataclass(frozen=True)
class Notice:
    """One thing to tell, to a person and to a program."""

    event: str
    subject: str  # one line
    body: str
    facts: dict[str, Any]  # fit for JSON


def compose(
    event: str, message: str, *, hint: str = "", state: State, database: str | None = None
) -> Notice:
    """
    Write a notice. Reads only.

    :param message: what happened, in a sentence; ``hint``: what to do next.
    """
    message, hint = without_secrets(message), without_secrets(hint)
    alias = database or conf.database
    site = conf.name if alias == conf.database else f"{conf.name} (database {alias})"
    facts = {
        "event": event,
        "site": conf.name,
        "database": alias,
        "message": message,
        "hint": hint,
        "at": _iso(datetime.now(UTC)),
        "last_success": _iso(state.last_success),
        "last_id": state.last_id,
        "last_verified": _iso(state.last_verified),
        "verified_id": state.verified_id,
        "verified_as_of": _iso(state.verified_as_of),
        "failures": state.troubles,
        "failing_since": _iso(state.trouble_since),
        "storage": _where(database),
    }
    title = f"{site}: {TITLES[event]}"
    return Notice(event, title, _body(title, facts, state, alias), facts)


def without_secrets(text: str) -> str:
    """The same text without the secrets that an error of somebody else's code may quote."""
    for secret in (conf.webhook, conf.ping_url):
        text = text.replace(secret, "(a secret URL)") if secret else text
    return printable(re.sub(r"(\w://)[^/\s@]+@", r"\1***@", text))


def _body(title: str, facts: dict[str, Any], state: State, alias: str) -> str:
    lines = [f"{title}.", "", facts["message"]]
    if facts["hint"]:
        lines += ["", f"What to do next: {facts['hint']}"]
    lines.append("")
    if facts["event"] in (FAILED, MISSED) and state.trouble_since is not None:
        lines.append(f"Failed or missed: {state.troubles}, since {_when(state.trouble_since)}")
    lines += [
        f"Time:             {_when(datetime.now(UTC), ago=False)}",
        f"Database:         {alias}",
        f"Storage:          {facts['storage']}",
        f"Newest stored:    {_newest(state)}",
        f"Newest verified:  {_verified(state)}",
        "",
        "On the server:",
    ]
    more = "" if alias == conf.database else f" --database {alias}"
    for command, meaning in (
        ("backup --store", "store a snapshot now, and see whether that works"),
        ("backups list", "what is stored, and whether it can be restored"),
        ("backups log", "what happened to stored snapshots"),
    ):
        lines.append(f"  {f'manage.py {command}{more}':<26}  {meaning}")
    return "\n".join(lines) + "\n"


def _newest(state: State) -> str:
    if state.last_id is None:
        return "none: nothing has been stored yet"
    return f"{state.last_id}, taken at {_when(state.last_taken_at)}"


def _verified(state: State) -> str:
    if state.verified_id is None:
        return "none: no stored snapshot was found restorable yet"
    as_of = _when(state.verified_as_of)
    return f"{state.verified_id} can be restored, and has all that was written until {as_of}"


def _when(moment: datetime | None, *, ago: bool = True) -> str:
    if moment is None:
        return "an unknown time"
    words = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    if not ago:
        return words
    with override(None):  # in English, as the rest
        since = timesince(moment, datetime.now(UTC)).replace("\xa0", " ")
    return f"{words} ({since} ago)"


def _where(database: str | None) -> str:
    with suppress(BackupError):
        return without_secrets(services.where(database=database))
    return "unknown: the settings name no storage that can be used"


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
