"""Every text of the pages can be translated, and turns where it is read from the right."""

import re
import struct
from collections.abc import Callable, Iterator

import pytest
from django.template.base import Lexer, TokenType
from django.test import Client
from django.utils import translation
from pytest_django import Settings

from backups.archive import services as archive
from backups.page.language import ONLY_HERE
from tests.backups.page.project import Project
from tests.backups.page.pseudo import in_brackets, unmarked
from tests.backups.page.reading import read
from tests.processes import CHECKOUT
from tests.site import Site

TEMPLATES = CHECKOUT / "backups/templates"
ALL = sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.html"))
BLOCK = ("blocktranslate", "blocktrans")


@pytest.fixture
def _translated(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.USE_I18N = True
    # Django keeps which functions it uses since the first time that one was asked for.
    monkeypatch.setattr(translation, "_trans", type(translation._trans)())  # type: ignore[attr-defined]


def outside_of_tags(template: str) -> str:
    """The text of a template, with something in the place of each tag and variable."""
    source, marked, found = (TEMPLATES / template).read_text(), False, []
    for token in Lexer(source).tokenize():
        word = token.contents.split(" ")[0] if token.token_type == TokenType.BLOCK else ""
        if word.removeprefix("end") in BLOCK:
            marked = not word.startswith("end")
        elif token.token_type == TokenType.TEXT and not marked:
            found.append(token.contents)
        elif token.token_type != TokenType.COMMENT:
            found.append("{}")
    return "".join(found)


@pytest.mark.parametrize("template", ALL)
def test_every_text_of_a_template_is_marked(template: str) -> None:
    assert unmarked(outside_of_tags(template)) == []


def test_a_text_that_is_not_marked_is_found() -> None:
    page = '<p title="one">⟦two ⟦three⟧ %⟧ 4 <b>five</b></p><script>six</script>'
    assert unmarked(page) == ["five", "one"]


@pytest.fixture
def pseudo(_translated: None) -> Iterator[None]:
    with in_brackets():
        yield


# Names and figures, and what the core says: it is in English, as in the log.
DATA = re.compile(
    r"(· )?taskdog|ann|[\d.,]+ [kMG]B|the folder /.*|taskdog-backup-[\d-]+\.db\.zst"
    r"|[\da-f]{64}|django-restorable [\d.]+, .*"
)


@pytest.mark.usefixtures("pseudo")
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("", 200),
        ("snapshots/", 200),
        ("snapshots/{id}/", 200),
        ("snapshots/{id}/delete/", 200),
        ("restore/", 200),
        ("history/", 200),
        ("jobs/none/", 404),
    ],
)
def test_every_text_of_a_page_is_marked(
    path: str, status: int, live: Site, ann_here: Client
) -> None:
    stored = archive.store(by="ann").snapshot
    archive.verify(stored.id, by="ann")
    archive.hold(stored.id, by="ann")
    page = read(ann_here, path.format(id=stored.id), status)
    manifest = stored.manifest
    assert manifest is not None
    names = {*manifest.rows, *manifest.migrations}  # of the project
    found = [text for text in unmarked(page) if not DATA.fullmatch(text)]
    assert [text for text in found if text not in names] == []


@pytest.mark.usefixtures("_translated")
@pytest.mark.parametrize(("language", "direction"), [("he", "rtl"), ("de", "")])
def test_page_turns_for_a_language_that_is_read_from_the_right(
    language: str,
    direction: str,
    live: Site,
    ann_here: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("backups.page.language.is_translated", lambda: True)
    with translation.override(language):
        page = read(ann_here, "history/")
    (root,) = re.findall(r"<html[^>]*>", page)
    assert f'lang="{language}"' in root
    assert ('dir="rtl"' in root) is (direction == "rtl")


def catalogue(messages: dict[str, str]) -> bytes:
    """
    A file as gettext compiles it.

    Source: https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html
    """
    pairs = {"": "Content-Type: text/plain; charset=UTF-8\n"} | messages
    texts = [text.encode() for text in (*sorted(pairs), *(pairs[each] for each in sorted(pairs)))]
    at, places = 28 + 8 * len(texts), []
    for text in texts:
        places += [len(text), at]
        at += len(text) + 1
    head = (0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    return struct.pack(f"<{7 + len(places)}I", *head, *places) + b"".join(
        text + b"\0" for text in texts
    )


def test_catalogue_of_a_project_is_spoken_where_the_reader_asks_for_it(
    project: Callable[..., Project],
) -> None:
    made = project(
        "LOCALE_PATHS = [Path(__file__).parent / 'locale']\n"
        "MIDDLEWARE.insert(1, 'django.middleware.locale.LocaleMiddleware')"
    )
    file = made.folder / "locale/de/LC_MESSAGES/django.mo"
    file.parent.mkdir(parents=True)
    words = {"History": "Verlauf", "Snapshots": "Sicherungen", ONLY_HERE: "Zum Inhalt"}
    file.write_bytes(catalogue(words))
    page = made.ask("""
answer = staff().get("/backups/history/", headers={"Accept-Language": "de"}).content.decode()
""")
    assert '<html lang="de">' in page
    assert "<h1>Verlauf</h1>" in page
    assert ">Sicherungen</a>" in page


def test_a_template_of_the_project_extends_the_one_that_it_replaces(
    project: Callable[..., Project],
) -> None:
    made = project()
    made.write(
        "templates/backups/page/base.html",
        '{% extends "backups/page/base.html" %}{% block brand %}Acme{% endblock %}',
    )
    page = made.ask('answer = staff().get("/backups/history/").content.decode()')
    assert "<span>Acme</span>" in page
    assert "<h1>History</h1>" in page
