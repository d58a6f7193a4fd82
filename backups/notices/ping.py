"""
BACKUPS_PING_URL: a monitor that expects a request for each backup, and alerts if none comes.

So people also hear what the site can't report: its machine is down, or its schedule stopped.

    healthchecks.io and similar  URL/start   URL   URL/fail     with a sentence as the body
    Uptime Kuma, .../api/push/…  nothing     URL?status=up&msg=…   URL?status=down&msg=…

Source: https://healthchecks.io/docs/http_api/
"""

from urllib.parse import parse_qsl, urlencode, urlsplit

from backups.conf import conf
from backups.notices import request
from backups.notices.notice import BEGAN, FAILED, MISSED, Notice

KUMA = "/api/push/"  # in the path of each push URL of Uptime Kuma
MOST_CHARACTERS = 250  # of a message in a URL


def send(notice: Notice, *, seconds: float = 0.0) -> None:
    """
    Send it.

    :param seconds: how long the last backup took.
    :raises NoticeError: the monitor did not take it.
    """
    url, message = conf.ping_url, notice.facts["message"]
    if KUMA in urlsplit(url).path:
        if notice.event != BEGAN:
            request.send(_kuma(url, notice, seconds))
        return
    request.send(_alike(url, notice.event), body=message.encode())


def _kuma(url: str, notice: Notice, seconds: float) -> str:
    parts = urlsplit(url)
    said = {
        "status": "down" if notice.event in (FAILED, MISSED) else "up",
        "msg": notice.facts["message"][:MOST_CHARACTERS],
        "ping": str(round(seconds * 1000)),
    }
    return parts._replace(query=urlencode(dict(parse_qsl(parts.query)) | said)).geturl()


def _alike(url: str, event: str) -> str:
    end = {BEGAN: "/start", FAILED: "/fail", MISSED: "/fail"}.get(event, "")
    parts = urlsplit(url)
    return parts._replace(path=parts.path.rstrip("/") + end if end else parts.path).geturl()
