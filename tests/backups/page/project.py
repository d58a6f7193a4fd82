"""A small Django project that is not taskdog: with and without what others have or lack."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.processes import CHECKOUT

SETTINGS = """
from pathlib import Path

SECRET_KEY = "of a test"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(__file__).parent / "db.sqlite3",
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
USE_TZ = True
INSTALLED_APPS = [
    "backups",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_htmx",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
BACKUPS_SCHEDULE = ""
"""
WITHOUT_ADMIN = """
INSTALLED_APPS = [app for app in INSTALLED_APPS if app != "django.contrib.admin"]
"""
WITHOUT_MESSAGES = """
INSTALLED_APPS = [app for app in INSTALLED_APPS if app.split(".")[-1] not in ("admin", "messages")]
MIDDLEWARE = [each for each in MIDDLEWARE if "messages" not in each]
TEMPLATES[0]["OPTIONS"]["context_processors"].pop()
"""
WITHOUT_LOGINS = """
INSTALLED_APPS = ["backups", "django.contrib.staticfiles", "rest_framework", "django_htmx"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
TEMPLATES[0]["OPTIONS"]["context_processors"] = []
"""
URLS = """
from django.conf import settings
from django.urls import include, path

urlpatterns = [
    path("api/v1/", include("backups.urls")),
    path("backups/", include("backups.page.urls")),
]
if "django.contrib.admin" in settings.INSTALLED_APPS:
    from django.contrib import admin

    urlpatterns.append(path("admin/", admin.site.urls))
"""
START = """
import json

import django

django.setup()
from django.test import Client


def staff(name="ann", **fields):
    from django.contrib.auth.models import User

    user, _ = User.objects.get_or_create(
        username=name, is_staff=True, is_superuser=True, defaults=fields
    )
    client = Client()
    client.force_login(user)
    return client
"""


class Project:
    """A folder with settings, URLs and templates."""

    def __init__(self, folder: Path, settings: str = "", urls: str = "") -> None:
        """Writes it. :param settings, urls: what comes after what is there."""
        self.folder = folder
        (folder / "settings.py").write_text(f"{SETTINGS}\n{settings}")
        (folder / "urls.py").write_text(f"{URLS}\n{urls}")

    def write(self, path: str, text: str) -> None:
        """A file of the project, such as a template."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def migrate(self) -> None:
        """Make the tables."""
        self.run("from django.core.management import call_command; call_command('migrate', '-v0')")

    def ask(self, script: str) -> Any:
        """Run this in a process of the project; what it calls ``answer`` is returned."""
        return json.loads(self.run(f"{script}\nprint(json.dumps(answer))").splitlines()[-1])

    def run(self, script: str) -> str:
        """Run this in a process of the project, with Django set up. Returns what it prints."""
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", f"{START}\n{script}"],
            cwd=self.folder,
            env=os.environ
            | {
                "DJANGO_SETTINGS_MODULE": "settings",
                "PYTHONPATH": f"{self.folder}{os.pathsep}{CHECKOUT}",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout
