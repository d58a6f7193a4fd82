"""Read a body: JSON. How long it may be, ``body_limit`` has decided before."""

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer

MAX_NESTING = 100  # levels; no request has more than three


class MalformedJsonError(ParseError):
    """The body is not JSON. Distinguished from other apps' parse errors, which stay a 400."""


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
        """
        try:
            document = json.loads(stream.read().decode(), parse_constant=_refuse_constant)
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
