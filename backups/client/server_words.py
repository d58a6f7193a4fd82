"""
Make a server's texts safe for a terminal and a log: one line of limited length, without control
characters. The server, or somebody between it and us, may be hostile.
"""

import re
from typing import Any

from backups.exceptions import printable

MOST_CHARACTERS = 2_000  # in one text: this app's longest has a third of that
MOST_TEXTS = 100  # in a list such as the warnings
CODE = re.compile("[A-Za-z0-9_.-]{1,64}")


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


def code_in(answer: dict[str, Any]) -> str:
    """The word for programs in the answer of an error; empty without one, and if it is not one."""
    code = answer.get("code")
    return code if isinstance(code, str) and CODE.fullmatch(code) else ""


def hint_in(answer: dict[str, Any]) -> str:
    """What to do next, by the answer of an error; empty if it does not say."""
    hint = answer.get("hint")
    return hint if isinstance(hint, str) else ""


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
