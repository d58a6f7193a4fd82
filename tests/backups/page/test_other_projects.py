"""What the pages meet in projects that know nothing of them: their languages, their login."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation
from pytest_django import Settings

from backups import services
from backups.archive import services as archive
from tests.backups.page.reading import read, text_of
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


def test_ended_session_is_explained_before_a_login_that_shows_no_messages(
    live: Site, ann_here: Client
) -> None:
    read(ann_here, "")
    made = archive.store(by="ops").snapshot
    services.hold_presence()
    archive.stage_snapshot(made.id, staged_by="boss")
    services.apply_now(applied_by="boss")
    page = read(ann_here, "restore/")
    assert "A restore has replaced the database, and with it all logins." in text_of(page)
    assert "?next=/backups/restore/" in page
    told_once = ann_here.get("/backups/restore/")
    assert told_once.status_code == 303
    assert "login" in told_once["Location"]
    ann_here.force_login(User.objects.get(username="ann"))
    assert "all logins" not in text_of(read(ann_here, ""))
