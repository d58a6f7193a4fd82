"""Somebody at the pages without a browser: a session that follows links and sends forms."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import requests
from django.contrib.auth.hashers import make_password

from tests.backups.api.test_views import PASSWORD, Forms
from tests.backups.uploads import NOW
from tests.backups.waiting import until
from tests.site import Server


def add_user(database: Path, name: str, *, is_staff: bool = True) -> None:
    """Add a user by SQL, who logs in with PASSWORD."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(
            "INSERT INTO auth_user (username, password, is_staff, is_superuser, is_active,"
            " date_joined, first_name, last_name, email) VALUES (?, ?, ?, 0, 1, ?, '', '', '')",
            (name, make_password(PASSWORD, hasher="pbkdf2_sha256"), is_staff, NOW),
        )
        connection.commit()


class Visitor:
    """A session of a person at a server."""

    def __init__(self, server: Server, name: str | None = None) -> None:
        """Logs in as the user of this name; None to stay a stranger."""
        self.base = server.url
        self.http = requests.Session()
        self.http.headers.update({"Connection": "close", "Origin": server.url})
        if name is not None:
            page = self.http.get(f"{self.base}/api-auth/login/?next=/backups/")
            _, fields = Forms(page.text).with_input("password")
            page = self.http.post(page.url, data=fields | {"username": name, "password": PASSWORD})
            assert name in page.text, page.text  # which may be a refusal of who is no staff

    def get(self, path: str, **arguments: Any) -> requests.Response:
        """A page, by its path below /backups/; a redirect is followed."""
        return self.http.get(f"{self.base}/backups/{path}", timeout=60, **arguments)

    def send(self, path: str, *, at: str = "restore/", **fields: str) -> requests.Response:
        """Send a form with these fields, and the token of the page ``at``."""
        fields["csrfmiddlewaretoken"] = self._token(at)
        return self.http.post(f"{self.base}/backups/{path}", data=fields, timeout=60)

    def upload(self, file: Path, *, name: str | None = None, **fields: str) -> requests.Response:
        """Upload a file with the form of the restore page; returns the page that it leads to."""
        page = self.get("restore/").text
        (action,) = re.findall(r'action="/backups/(restore/upload/[^"]+)"', page)
        fields["csrfmiddlewaretoken"] = self._token("restore/")
        with file.open("rb") as content:
            return self.http.post(
                f"{self.base}/backups/{action}",
                data=fields,
                files={"file": (name or file.name, content)},
                timeout=60,
            )

    def wait_for(self, page: requests.Response, words: str) -> str:
        """Ask for the page again and again, until it says this; returns its text."""

        def text() -> str | None:
            answer = self.http.get(page.url, timeout=60)
            return answer.text if words in answer.text else None

        return until(text)

    def _token(self, at: str) -> str:
        _, fields = Forms(self.get(at).text).with_input("csrfmiddlewaretoken")
        return str(fields["csrfmiddlewaretoken"])


def path_of(page: requests.Response) -> str:
    """The path of a page below /backups/."""
    return page.url.partition("/backups/")[2]
