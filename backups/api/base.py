"""What all views of this app share: authentication, the limit on bodies, and error answers."""

import logging
from typing import Any

from django.apps import apps
from django.core.handlers.asgi import ASGIRequest
from django.db import connections, transaction
from rest_framework.renderers import BaseRenderer, BrowsableAPIRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backups.api import body_limit
from backups.api.asgi_limits import warn_unless_limited
from backups.api.authentication import ApiClient, ApiKeysMixin
from backups.api.errors import error_response
from backups.api.negotiation import JSONRenderer
from backups.api.time_limits import warn_of_time_limit
from backups.exceptions import BackupError

logger = logging.getLogger(__name__)


def outside_of_transactions(view: Any) -> Any:
    """The view, which runs in no transaction of any database (ATOMIC_REQUESTS)."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


class StoreView(ApiKeysMixin, APIView):
    """
    Accepts an API key, and answers this app's errors by the table in ``errors``.

    No view runs in a transaction (ATOMIC_REQUESTS). It would hold the write lock during a whole
    upload, and a restore that is applied at once would wait for its own request.
    """

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """As any view, but outside of transactions of every database."""
        return outside_of_transactions(super().as_view(**initkwargs))

    def perform_authentication(self, request: Request) -> None:
        """As any view, but answer a caller with a key in JSON: a page may look up its user."""
        super().perform_authentication(request)
        user: object = request.user
        if isinstance(user, ApiClient):
            _answer_in_json(request)

    def get_renderers(self) -> list[BaseRenderer]:
        """The view's own; but a page needs the templates of Django REST framework."""
        renderers: list[BaseRenderer] = super().get_renderers()
        if apps.is_installed("rest_framework"):
            return renderers
        return [each for each in renderers if not isinstance(each, BrowsableAPIRenderer)]

    def takes_upload(self, request: Request) -> bool:
        """Whether the body of this request is read as it arrives. Any other body must be short."""
        return False

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check the body's length and the caller before any long work."""
        if not self.takes_upload(request):
            _limit_body(request)
        super().initial(request, *args, **kwargs)
        warn_of_time_limit()
        if isinstance(request._request, ASGIRequest):
            warn_unless_limited(request._request.scope)

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Let no proxy and no browser keep a copy of an answer."""
        response.headers.setdefault("Cache-Control", "no-store")
        return super().finalize_response(request, response, *args, **kwargs)

    def handle_exception(self, exc: Exception) -> Response:
        """Answer an error of this app by its status. Log it if the server is at fault."""
        if not isinstance(exc, BackupError):
            return super().handle_exception(exc)
        response = error_response(exc)
        if response.status_code >= 500:
            logger.error("%s: %s", exc.code, exc)
        return response


def _limit_body(request: Request) -> None:
    try:
        body_limit.refuse_large_body(request._request)
    except BackupError:
        _answer_in_json(request)  # a page would have the body read
        raise
    body_limit.keep_files_in_memory(request._request)


def _answer_in_json(request: Request) -> None:
    request.accepted_renderer = JSONRenderer()
    request.accepted_media_type = JSONRenderer.media_type
