"""The way to the pages from the admin's index and from the browsable API."""

from collections.abc import Callable

import pytest

from tests.backups.page.project import WITHOUT_ADMIN, Project

MakeProject = Callable[..., Project]
ASK = """
answer = staff().get(PATH, headers={"Accept": "text/html"})
assert answer.status_code == 200, answer
answer = answer.content.decode()
"""
LINK = 'href="/backups/"'
OWN_SITE = """
from django.contrib.admin import AdminSite
from django.contrib.auth.models import User

class Own(AdminSite):
    index_template = "own_index.html"

own = Own(name="own")
own.register(User)
urlpatterns[-1] = path("admin/", own.urls)
"""
EXTENDED = '{% extends "admin/index.html" %}{% block sidebar %}the project{% endblock %}'
REPLACED = '{% extends "admin/base.html" %}{% block content %}the project{% endblock %}'
THEME = """{% extends "admin/base_site.html" %}
{% block content %}the theme: {{ app_list|length }} apps{% endblock %}
"""


def index(made: Project, path: str = "/admin/", before: str = "") -> str:
    answer: str = made.ask(f"PATH = {path!r}\n{before}\n{ASK}")
    return answer


def test_index_of_the_admin_has_the_pages_after_its_apps(project: MakeProject) -> None:
    page = index(project())
    assert page.count(LINK) >= 1
    assert page.index("/admin/auth/user/") < page.index(LINK)
    for path in ("snapshots/", "restore/", "history/"):
        assert f'href="/backups/{path}"' in page


@pytest.mark.parametrize(
    ("settings", "urls"),
    [
        ("", "del urlpatterns[1]"),
        ("BACKUPS_BACKUP_PERMISSION = BACKUPS_RESTORE_PERMISSION = 'nobody.P'", ""),
    ],
    ids=["no pages", "no permission"],
)
@pytest.mark.proof
def test_nothing_is_added_for_who_can_t_use_it(
    settings: str, urls: str, project: MakeProject
) -> None:
    made = project(settings, urls)
    made.write("nobody.py", "from tests.backups.page.permissions import Nobody as P")
    page = index(made)
    assert "/admin/auth/user/" in page
    assert "/backups/" not in page


@pytest.mark.proof
def test_a_permission_that_fails_breaks_nothing_of_the_admin(project: MakeProject) -> None:
    made = project("BACKUPS_BACKUP_PERMISSION = 'fails.P'")
    made.write(
        "fails.py",
        "class P:\n    def has_permission(self, request, view):\n        return request.no_such",
    )
    page = index(made)
    assert "/admin/auth/user/" in page
    assert LINK not in page


@pytest.mark.proof
def test_one_who_may_not_restore_is_not_led_there(project: MakeProject) -> None:
    made = project("BACKUPS_RESTORE_PERMISSION = 'nobody.P'")
    made.write("nobody.py", "from tests.backups.page.permissions import Nobody as P")
    page = index(made)
    assert LINK in page
    assert "/backups/restore/" not in page


@pytest.mark.proof
def test_one_who_may_only_restore_has_the_way_in(project: MakeProject) -> None:
    made = project("BACKUPS_BACKUP_PERMISSION = 'nobody.P'")
    made.write("nobody.py", "from tests.backups.page.permissions import Nobody as P")
    assert LINK in index(made)


@pytest.mark.proof
def test_a_page_without_the_request_among_its_words_has_it_too(project: MakeProject) -> None:
    """As where the context processor of requests is missing, which the admin can do without."""
    processor = "django.template.context_processors.request"
    assert LINK in index(
        project(f"TEMPLATES[0]['OPTIONS']['context_processors'].remove({processor!r})")
    )


@pytest.mark.parametrize(
    ("template", "has_link"), [(EXTENDED, True), (REPLACED, False)], ids=["extended", "replaced"]
)
@pytest.mark.parametrize(("name", "urls"), [("admin/index.html", ""), ("own_index.html", OWN_SITE)])
@pytest.mark.proof
def test_an_index_of_the_project_stays_its_own(
    name: str, urls: str, template: str, has_link: bool, project: MakeProject
) -> None:
    made = project(urls=urls)
    made.write(f"templates/{name}", template)
    page = index(made)
    assert "the project" in page
    assert (LINK in page) is has_link


@pytest.mark.proof
def test_a_theme_that_comes_after_us_gets_one_app_more(project: MakeProject) -> None:
    made = project("INSTALLED_APPS.insert(1, 'theme')")
    made.write("theme/__init__.py", "")
    made.write("theme/templates/admin/index.html", THEME)
    assert "the theme: 2 apps" in index(made)


@pytest.mark.proof
def test_a_page_of_one_app_is_as_it_was(project: MakeProject) -> None:
    assert "/backups/" not in index(project(), "/admin/auth/")


# The browsable API

AUTH = "urlpatterns.append(path('api-auth/', include('rest_framework.urls')))"


@pytest.mark.parametrize("urls", ["", AUTH], ids=["without a logout", "with one"])
def test_menu_of_the_browsable_api_has_the_pages(urls: str, project: MakeProject) -> None:
    page = index(project(WITHOUT_ADMIN, urls), "/api/v1/restore")
    assert page.count(LINK) == 1
    assert "ann" in page
    if urls:
        assert page.index('<ul class="dropdown-menu">') < page.index(LINK) < page.index("Log out")


@pytest.mark.parametrize("urls", ["", AUTH], ids=["without a logout", "with one"])
@pytest.mark.proof
def test_menu_is_as_it_was_where_there_are_no_pages(urls: str, project: MakeProject) -> None:
    page = index(project(WITHOUT_ADMIN, f"del urlpatterns[1]\n{urls}"), "/api/v1/restore")
    assert "ann" in page
    assert "/backups/" not in page


@pytest.mark.proof
def test_name_of_a_user_is_text_in_the_menu(project: MakeProject) -> None:
    made = project(WITHOUT_ADMIN, AUTH)
    page = index(
        made,
        "/api/v1/restore",
        "make = staff\ndef staff(): return make('<ul class=\"dropdown-menu\">')",
    )
    assert page.count(LINK) == 1
    assert "&lt;ul class=&quot;dropdown-menu&quot;&gt;" in page
