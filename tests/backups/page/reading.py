"""What a page says, as a person reads it."""

import html
import re

from django.test import Client


def text_of(page: str) -> str:
    """The words of a page, without its elements."""
    inline = re.sub(r"</?(a|code|data|small|span|strong|time)\b[^>]*>", "", page)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", inline)).split())


def read(client: Client, path: str, status: int = 200) -> str:
    """A page below /backups/, which must not need what its policy forbids."""
    answer = client.get(f"/backups/{path}")
    page = answer.content.decode()
    assert answer.status_code == status, page
    assert not re.search(r"\sstyle=|\son[a-z]+=|javascript:", page)
    return page
