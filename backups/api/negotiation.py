"""Content negotiation for a view that sends a file."""

from collections.abc import Iterable

from rest_framework import renderers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class JSONRenderer(renderers.JSONRenderer):
    """As Django REST framework's, but a file's name that is not UTF-8 can be written too."""

    ensure_ascii = True


class IgnoreAccept(BaseContentNegotiation):
    """
    Any ``Accept`` header gets the file, and errors always come in the view's first renderer.

    The renderers do not render the file, so to match ``Accept`` with them would answer 406 to
    a client that asks for just what it gets.
    """

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """The first: a download has no body to parse."""
        return next(iter(parsers), None)

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        """The first renderer, whatever was asked for."""
        first = next(iter(renderers))
        return first, first.media_type
