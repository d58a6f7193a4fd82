"""What the pages meet in projects that know nothing of them: their languages."""

import pytest
from django.test import Client
from django.utils import translation
from pytest_django import Settings

from tests.backups.page.reading import read
from tests.site import Site

LOCALE = "django.middleware.locale.LocaleMiddleware"


@pytest.fixture
def with_languages(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project that speaks the language of its reader. Django reads USE_I18N only once."""
    settings.USE_I18N = True
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, LOCALE]
    monkeypatch.setitem(vars(translation), "_trans", type(vars(translation)["_trans"])())


def test_page_without_a_translation_is_english_from_the_first_word_to_the_last(
    live: Site, ann_here: Client, with_languages: None
) -> None:
    ann_here.defaults["HTTP_ACCEPT_LANGUAGE"] = "de"
    page = read(ann_here, "history/")  # Django's admin has a German word for "History"
    assert '<html lang="en"' in page
    assert "<h1>History</h1>" in page
    assert "Geschichte" not in page


def test_english_of_the_reader_stays(live: Site, ann_here: Client, with_languages: None) -> None:
    ann_here.defaults["HTTP_ACCEPT_LANGUAGE"] = "en-gb"
    assert '<html lang="en-gb"' in read(ann_here, "history/")
