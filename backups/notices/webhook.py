"""BACKUPS_WEBHOOK: a POST with JSON, for a program."""

import json

from backups.conf import conf
from backups.notices import request
from backups.notices.notice import Notice


def send(notice: Notice) -> None:
    """Send it. :raises NoticeError: the server did not take it."""
    # ``text`` is what chat programs show of it.
    body = json.dumps({**notice.facts, "text": f"{notice.subject}\n{notice.facts['message']}"})
    request.send(conf.webhook, body=body.encode(), content_type="application/json")
