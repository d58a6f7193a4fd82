import pytest
from django.core.exceptions import ImproperlyConfigured

from taskdog.mail import NAME, MailServer, mail_server


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", MailServer()),
        ("smtp://mail.example.org", MailServer("mail.example.org", 25)),
        ("smtps://mail.example.org", MailServer("mail.example.org", 465, is_tls=True)),
        (
            "smtp+tls://ops%40example.org:p%3Aw@mail.example.org:2525",
            MailServer("mail.example.org", 2525, "ops@example.org", "p:w", starts_tls=True),
        ),
    ],
)
def test_the_url_says_how_mail_is_sent(
    url: str, expected: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, url)
    assert mail_server() == expected


@pytest.mark.parametrize(
    "url", ["mail.example.org", "https://s3cret@x", "smtp://", "smtp://[s3cret", "smtp://s3cret:x"]
)
def test_another_url_stops_the_start_and_is_not_quoted(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, url)
    with pytest.raises(ImproperlyConfigured, match=NAME) as refused:
        mail_server()
    assert "s3cret" not in str(refused.value)
