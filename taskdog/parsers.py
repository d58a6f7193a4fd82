"""Read a body: JSON, and no more of it than a task can need."""

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer

MAX_BODY_BYTES = 4 * 1024**2  # 4 MiB: a very long note, and little enough to hold in memory
MAX_NESTING = 100  # levels; no request has more than three


class MalformedJsonError(ParseError):
    """The body is not JSON. Distinguished from other apps' parse errors, which stay a 400."""


class BodyTooLargeError(APIException):
    """The body is longer than anything this API takes."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = f"The body is longer than {MAX_BODY_BYTES} bytes."
    default_code = "body_too_large"


class JsonParser(BaseParser):
    """JSON in UTF-8, without the numbers that JSON does not have (NaN, Infinity)."""

    media_type = "application/json"
    renderer_class = JSONRenderer  # what the browsable API fills its form with

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """
        Parse the body.

        :raises MalformedJsonError: if it is not JSON, or JSON that could not be sent back.
        :raises BodyTooLargeError: past ``MAX_BODY_BYTES``; the rest is left unread.
        """
        body = stream.read(MAX_BODY_BYTES + 1)
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLargeError
        try:
            document = json.loads(body.decode(), parse_constant=_refuse_constant)
            _check_renderable(document)
        except (ValueError, RecursionError) as error:
            raise MalformedJsonError(f"JSON decode error: {error}") from error
        return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _check_renderable(document: Any) -> None:
    """
    Refuse what JSON's grammar allows and an answer could not repeat: a refusal shows what it
    refuses. That is half a character (``"\\ud800"``), a number like 1e999, and endless nesting.
    """
    waiting = [(document, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > MAX_NESTING:
            raise ValueError(f"nested deeper than {MAX_NESTING} levels")
        if isinstance(value, dict | list):
            inner = value.values() if isinstance(value, dict) else value
            waiting.extend((each, depth + 1) for each in inner)
    json.dumps(document, allow_nan=False, ensure_ascii=False).encode()
