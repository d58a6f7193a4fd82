"""
Make a server's texts safe for a terminal and a log: one line of limited length, without control
characters. The server, or somebody between it and us, may be hostile.
"""

from typing import Any

from backups.exceptions import printable

MOST_CHARACTERS = 2_000  # in one text: this app's longest has a third of that
MOST_TEXTS = 100  # in a list such as the warnings


def shown(text: str, most: int = MOST_CHARACTERS) -> str:
    """The text on one line, of at most so many characters."""
    # Cut it before, to save work, and after, since escaping makes it longer.
    line = printable(" ".join(text[: 2 * most].splitlines()).replace("\t", " ").strip())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def shown_answer(answer: Any) -> Any:
    """The same JSON value with every text in it made safe, and long lists of texts cut."""
    if isinstance(answer, str):
        return shown(answer)
    if isinstance(answer, dict):
        return {shown(name): shown_answer(value) for name, value in answer.items()}
    if isinstance(answer, list):
        items = [shown_answer(item) for item in answer]
        is_text = all(isinstance(item, str) for item in items)
        if is_text and (more := len(items) - MOST_TEXTS) > 0:
            return [*items[:MOST_TEXTS], f"… and {more:,} more"]
        return items
    return answer


def as_cause(error: BaseException) -> BaseException | None:
    """
    The error, for ``raise … from``; None if a traceback of it would show the server's raw text:
    ``http.client`` quotes a first line that is not HTTP.
    """
    each: BaseException | None = error
    while each is not None:
        if str(each) != shown(str(each)):
            return None
        each = each.__cause__ or each.__context__
    return error
