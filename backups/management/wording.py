"""The sentences of ``restore_db``, made from the API's JSON."""

from datetime import UTC, datetime

from backups.disk.sizes import size_in_words
from backups.management.targets import Json

AT_RESTART = (
    "Nothing changes until its server is restarted. That start puts the snapshot in place of the"
    " current database, and keeps the current one beside it."
)
AT_ONCE = (
    "It takes effect at once, for everybody who uses the site. The current content is kept beside"
    " the database first, under another name."
)
GO_BACK = "To go back: manage.py restore_db --undo"


def staged_or_applied(answer: Json) -> str:
    """The outcome of staging a snapshot, or of applying it at once."""
    if answer["status"] == "applied":
        kept = (
            f"The replaced content is kept as {answer['kept']}. {GO_BACK}"
            if answer["kept"]
            else "There was no database before, so nothing was replaced."
        )
        return f"Applied: {_content(answer)}\nIt is live for every process of the site.\n{kept}"
    return f"Pending: {_content(answer)}\n{answer['next_start']}\nRestart the server to apply."


def _content(answer: Json) -> str:
    """Its size, and its SHA-256: a kept database, of which the server makes a copy, has none."""
    size = size_in_words(answer["size"])
    return f"{size}, SHA-256 {answer['sha256']}" if answer["sha256"] else size


def status(answer: Json, where: str) -> str:
    """What is pending, which processes it waits for, and the outcome of the last restore."""
    return "\n".join([pending(answer, where), *in_the_way(answer), last(answer["last"])])


def pending(answer: Json, where: str) -> str:
    """What is pending, if anything is."""
    if answer["status"] != "pending":
        return f"Nothing is pending on {where}."
    return (
        f"Pending on {where}: {_content(answer)},"
        f" staged by {answer['staged_by']} at {answer['staged_at']}.\n"
        f"{answer['next_start']}\n"
        "Restart the server to apply."
    )


def in_the_way(answer: Json) -> list[str]:
    """The processes that must end before a start can apply, or that have the database open."""
    if waiting_for := answer.get("waiting_for"):  # missing if nothing is pending
        return [f"Waiting for: {', '.join(waiting_for)}"]
    return [f"In use by {other}." for other in answer["in_use_by"]]


def last(receipt: Json | None) -> str:
    """The outcome of the last restore, and how to go back."""
    if receipt is None:
        return "No restore has been applied yet."
    words = [f"Last restore: {receipt['outcome']} at {receipt['at']}."]
    if receipt["reason"]:
        words.append(receipt["reason"])
    if receipt["kept"] and receipt["outcome"] == "applied":
        words.append(f"The database that it replaced is kept as {receipt['kept']}. {GO_BACK}")
    if receipt["kept"] and receipt["outcome"] == "refused":
        words.append(f"The snapshot is set aside as {receipt['kept']}.")
    return " ".join(words)


def kept_copies(kept: list[Json]) -> str:
    """One aligned line for each: its name, its size, when it was kept, how long it stays."""
    names, sizes = [copy["name"] for copy in kept], [size_in_words(copy["size"]) for copy in kept]
    wide, broad = max(map(len, names)), max(map(len, sizes))
    lines = []
    for copy, name, size in zip(kept, names, sizes, strict=True):
        raw = "" if copy["is_database"] else "  a folder of what SQLite could not read"
        stays = _stays(copy["stays_until"])
        lines.append(f"{name:<{wide}}  {size:>{broad}}  {copy['kept_at']}  {stays}{raw}")
    return "\n".join(lines)


def downloads(taken: list[Json]) -> str:
    """One line for each, the newest first: when, who, from where, what, and how it ended."""
    return "\n".join(map(_download, taken))


def _download(taken: Json) -> str:
    kind = "a stored snapshot" if taken["method"] == "stored" else taken["method"]
    what = f"{size_in_words(taken['size'])} of {kind}"
    if taken["first"]:
        what += f" from byte {taken['first']:,} on"
    at = f"{taken['at'][:19]}Z"  # to the second: UTC
    by, address = taken["by"] or "this process", taken["address"] or "this machine"
    return f"{at}, {by}, {address}, {what}, {_end(taken)}"


def _end(taken: Json) -> str:
    if taken["outcome"] == "begun":
        return "under way, or its process was killed"
    if taken["outcome"] == "broken off":
        return f"broken off after {taken['sent']:,} bytes"
    return f"whole, SHA-256 {taken['sha256']}" if taken["sha256"] else "whole"


def _stays(until: str | None) -> str:
    if until is None:
        return "stays until you remove it"
    if datetime.fromisoformat(until) > datetime.now(UTC):
        return f"stays until {until}"
    return "goes when a restore needs its place"
