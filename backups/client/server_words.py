"""
What a server says, made fit for a terminal and a log: one line, of bounded length, with nothing
in it that a terminal obeys. A server may be hostile, or somebody in between.
"""

from typing import Any

from backups.exceptions import printable

MOST_CHARACTERS = 2_000  # of one text: the longest of our own are a third of that
MOST_TEXTS = 100  # in a list of them, such as warnings


def shown(text: str, most: int = MOST_CHARACTERS) -> str:
    """The text in one line, of at most so many characters."""
    # Cut before and after: no work for what nobody will see, and writing out makes it longer.
    line = printable(" ".join(text[: 2 * most].splitlines()).replace("\t", " ").strip())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def shown_answer(answer: Any) -> Any:
    """The same JSON value with every text in it made fit, and long lists of texts cut."""
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
    The error, to be raised from; None if a traceback would show raw words of the server by it,
    as ``http.client`` quotes a first line that is not HTTP.
    """
    each: BaseException | None = error
    while each is not None:
        if str(each) != shown(str(each)):
            return None
        each = each.__cause__ or each.__context__
    return error
