"""Checks of what the pages for staff need, where a project has them in its URLs."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.template import TemplateDoesNotExist, engines
from django.template.backends.django import DjangoTemplates
from django.urls import reverse
from django.utils.module_loading import import_string

from backups.page.login import login_url
from backups.templatetags.backups_page import has_htmx

TEMPLATE = "backups/page/base.html"
NEEDED = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
)


def check_page(**_: Any) -> list[CheckMessage]:
    """
    Check what serves the pages. This is one of the checks of URLs: those import the URLs anyway,
    and Django's own says what is wrong with them.
    """
    if not _has_pages():
        return []
    return [*_templates(), *_users(), *_middleware(), *_login(), *_scripts(), *_static_files()]


def _has_pages() -> bool:
    try:
        reverse("backups_page:overview")
    except Exception:  # no URLs, none of ours, or none that can be imported
        return False
    return True


def _templates() -> Iterator[CheckMessage]:
    try:
        backends = [each for each in engines.all() if isinstance(each, DjangoTemplates)]
    except Exception:  # a backend that can't be made: Django says so
        return
    if not any(map(_finds, backends)):
        yield Error(
            "No backend of TEMPLATES finds the templates of the pages for staff.",
            hint="Add a backend 'django.template.backends.django.DjangoTemplates' with"
            ' "APP_DIRS": True, or with the loader of apps'
            " (django.template.loaders.app_directories.Loader).",
            id="backups.E120",
        )


def _finds(backend: DjangoTemplates) -> bool:
    try:
        backend.get_template(TEMPLATE)
    except TemplateDoesNotExist:
        return False
    except Exception:  # one of the project's that is wrong: the page will say so
        return True
    return True


def _users() -> Iterator[CheckMessage]:
    if not apps.is_installed("django.contrib.auth"):
        yield Error(
            "The pages for staff are in the URLs, and 'django.contrib.auth' is not in"
            " INSTALLED_APPS: nobody can log in to them.",
            hint="Add it, or remove backups.page.urls from the URLs.",
            id="backups.E121",
        )


def _middleware() -> Iterator[CheckMessage]:
    if not apps.is_installed("django.contrib.auth"):
        return  # there is nothing to import
    missing = [each for each in NEEDED if not any(_is(name, each) for name in settings.MIDDLEWARE)]
    if missing:
        names = ", ".join(map(repr, missing))
        yield CheckWarning(
            f"The pages for staff are in the URLs, and MIDDLEWARE has no {names}: who logs in is"
            " not known there, or can change nothing.",
            hint="Add what is missing. If a middleware of your own does the same, silence this"
            " warning in SILENCED_SYSTEM_CHECKS.",
            id="backups.W122",
        )


def _is(name: str, needed: str) -> bool:
    """Whether a middleware is this one, made of it, or another one of its name."""
    if name.rpartition(".")[2] == needed.rpartition(".")[2]:
        return True
    try:
        found = import_string(name)
    except ImportError:  # then the site does not start
        return False
    return isinstance(found, type) and issubclass(found, import_string(needed))


def _login() -> Iterator[CheckMessage]:
    if apps.is_installed("django.contrib.auth") and login_url() is None:
        yield CheckWarning(
            f"The pages for staff are in the URLs, and nothing is served at LOGIN_URL"
            f" ({settings.LOGIN_URL!r}): nobody can log in to them.",
            hint="Set LOGIN_URL to the name or the path of a login page. With Django REST framework"
            ' you have one: path("api-auth/", include("rest_framework.urls")), and LOGIN_URL ='
            " 'rest_framework:login'.",
            id="backups.W123",
        )


def _scripts() -> Iterator[CheckMessage]:
    if not has_htmx():
        yield CheckWarning(
            "The pages for staff are in the URLs, and 'django_htmx' is not in INSTALLED_APPS, or"
            " older than 1.29: they show no progress.",
            hint="Install it: pip install 'django-restorable[page]'. Then add 'django_htmx' to"
            " INSTALLED_APPS, and run collectstatic.",
            id="backups.W124",
        )


def _static_files() -> Iterator[CheckMessage]:
    if not apps.is_installed("django.contrib.staticfiles"):
        yield CheckWarning(
            "The pages for staff are in the URLs, and 'django.contrib.staticfiles' is not in"
            " INSTALLED_APPS: they have no style and no progress.",
            hint="Add it, or serve the folder 'static' of backups and of django_htmx yourself. Then"
            " silence this warning in SILENCED_SYSTEM_CHECKS.",
            id="backups.W125",
        )
