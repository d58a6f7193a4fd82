"""Content negotiation for a view that sends a file."""

from collections.abc import Iterable

from rest_framework import renderers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class JSONRenderer(renderers.JSONRenderer):
    """As Django REST framework's, but it can also write a file name that is not UTF-8."""

    ensure_ascii = True


class IgnoreAccept(BaseContentNegotiation):
    """
    Send the file whatever ``Accept`` says, and errors in the view's first renderer.

    No renderer is for the file's own type: a client that accepts only that would get a 406.
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
