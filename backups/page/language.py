"""The language of the pages: one from the first word to the last."""

from contextlib import AbstractContextManager, nullcontext

from django.utils import translation
from django.utils.translation import gettext

ONLY_HERE = "Skip to the content"  # on every page, and in no catalogue of Django's


def of_pages() -> AbstractContextManager[None]:
    """
    English, unless somebody has translated the pages to the language of the reader. Else Django's
    catalogues, and those of other apps, would translate the few words that they have too, and the
    page would call itself a page in that language.
    """
    reader = translation.get_language() or "en"
    if reader.split("-")[0] == "en" or is_translated():
        return nullcontext()
    return translation.override("en")


def is_translated() -> bool:
    """Whether the words of the pages are there in the language of the reader."""
    return gettext(ONLY_HERE) != ONLY_HERE
