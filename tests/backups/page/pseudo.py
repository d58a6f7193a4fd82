"""A language in which every message stands in brackets, so that what was not marked stands out."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from gettext import NullTranslations
from html.parser import HTMLParser

from django.utils.translation import trans_real

CONTEXT = "\x04"  # between the context and the message, in a catalogue
CODE = ("script", "style", "code", "pre")  # is the same in every language
NAMES = re.compile(r"SHA-256|UTC")
SPLIT = "\0"
SPOKEN = ("title", "alt", "placeholder", "aria-label", "aria-description", "data-head")


class Brackets(NullTranslations):
    """What Django asks of a language, in place of a catalogue."""

    def gettext(self, message: str) -> str:
        return f"⟦{message.rpartition(CONTEXT)[2]}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)

    def to_language(self) -> str:
        return "en"

    def language(self) -> str:
        return "en"


@contextmanager
def in_brackets() -> Iterator[None]:
    """Speak it; USE_I18N must be on."""
    trans_real._active.value = Brackets()  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del trans_real._active.value  # type: ignore[attr-defined]


class Said(HTMLParser):
    """Every text of a page that a person sees or hears."""

    def __init__(self, page: str) -> None:
        """Reads it."""
        super().__init__()
        self.texts: list[str] = []
        self.attributes: list[str] = []
        self._code: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in CODE:
            self._code.append(tag)
        known = dict(attrs)
        self.attributes += [known[name] or "" for name in SPOKEN if name in known]
        # What a script says to people is in attributes of a page too.
        self.attributes += [
            value for name, value in attrs if value and name.startswith("data-") and " " in value
        ]
        if tag == "input" and known.get("type") in ("submit", "button", "reset"):
            self.attributes.append(known.get("value") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in CODE:
            self._code.pop()

    def handle_data(self, data: str) -> None:
        if not self._code:
            self.texts.append(data)


def unmarked(page: str) -> list[str]:
    """The texts of a page with words in no brackets; a message may have elements in it."""
    said = Said(page)
    text = SPLIT.join([*said.texts, *said.attributes])
    while text != (text := re.sub(r"⟦[^⟦⟧]*⟧", SPLIT, text)):
        pass
    found = [" ".join(each.split()) for each in text.split(SPLIT)]
    return [each for each in found if re.search(r"[^\W\d_]{2,}", NAMES.sub("", each))]
