import json
import os

import pytest
from rest_framework.parsers import JSONParser
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from backups.api import negotiation
from backups.api.negotiation import IgnoreAccept


@pytest.mark.parametrize("accept", ["text/html", "application/vnd.sqlite3", "nonsense", ""])
@pytest.mark.parametrize("query", ["", "?format=api", "?format=xml"])
def test_first_renderer_is_taken_whatever_is_asked_for(accept: str, query: str) -> None:
    request = Request(APIRequestFactory().get(f"/{query}", headers={"Accept": accept}))
    renderers = [JSONRenderer(), BrowsableAPIRenderer()]
    chosen = IgnoreAccept().select_renderer(request, renderers, "xml")
    assert chosen == (renderers[0], "application/json")


def test_first_parser_is_taken_if_there_is_any() -> None:
    request, parser = Request(APIRequestFactory().get("/")), JSONParser()
    assert IgnoreAccept().select_parser(request, [parser]) is parser
    assert IgnoreAccept().select_parser(request, []) is None


def test_name_of_a_file_that_is_not_utf8_can_be_rendered() -> None:
    name = os.fsdecode(b"/srv/caf\xe9/tasks.db")
    rendered = negotiation.JSONRenderer().render({"detail": name})
    assert json.loads(rendered) == {"detail": name}
