from typing import Any

import django
import pytest
from django.core.exceptions import ImproperlyConfigured

from taskdog.mail import NAME, mail_settings


def earlier(host: str, port: int, user: str = "", password: str = "", **tls: bool) -> Any:
    return {
        "EMAIL_HOST": host,
        "EMAIL_PORT": port,
        "EMAIL_HOST_USER": user,
        "EMAIL_HOST_PASSWORD": password,
        "EMAIL_USE_TLS": False,
        "EMAIL_USE_SSL": False,
        "EMAIL_TIMEOUT": 10,
    } | tls


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", {}),
        ("smtp://mail.example.org", earlier("mail.example.org", 25)),
        ("smtps://mail.example.org", earlier("mail.example.org", 465, EMAIL_USE_SSL=True)),
        (
            "smtp+tls://ops%40example.org:p%3Aw@mail.example.org:2525",
            earlier("mail.example.org", 2525, "ops@example.org", "p:w", EMAIL_USE_TLS=True),
        ),
    ],
)
def test_the_url_says_how_mail_is_sent(
    url: str, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, url)
    monkeypatch.setattr(django, "VERSION", (5, 2, 0))
    assert mail_settings() == expected


def test_from_django_6_1_on_it_is_a_mailer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "smtp+tls://ops:pw@mail.example.org")
    monkeypatch.setattr(django, "VERSION", (6, 1, 0))
    mailer = mail_settings()["MAILERS"]["default"]
    assert mailer["OPTIONS"] == {
        "host": "mail.example.org",
        "port": 587,
        "username": "ops",
        "password": "pw",
        "use_tls": True,
        "use_ssl": False,
        "timeout": 10,
    }


@pytest.mark.parametrize(
    "url", ["mail.example.org", "https://s3cret@x", "smtp://", "smtp://[s3cret", "smtp://s3cret:x"]
)
def test_another_url_stops_the_start_and_is_not_quoted(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, url)
    with pytest.raises(ImproperlyConfigured, match=NAME) as refused:
        mail_settings()
    assert "s3cret" not in str(refused.value)
