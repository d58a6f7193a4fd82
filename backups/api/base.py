"""What all views of this app share: who may call, how long a body may be, and their errors."""

import logging
from typing import Any

from django.db import connections, transaction
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backups.api import body_limit
from backups.api.authentication import ApiClient, ApiKeysMixin
from backups.api.errors import error_response
from backups.api.negotiation import JSONRenderer
from backups.api.time_limits import warn_of_time_limit
from backups.exceptions import BackupError

logger = logging.getLogger(__name__)


class StoreView(ApiKeysMixin, APIView):
    """
    Takes an API key, and answers this app's errors by the table; all others as the site does.

    No view runs in a transaction of the site (ATOMIC_REQUESTS): it would keep the write lock for
    as long as an upload takes, and what is applied at once would wait for its own request.
    """

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """As any view, but outside of transactions, in whichever database."""
        view = super().as_view(**initkwargs)
        for alias in connections:
            view = transaction.non_atomic_requests(using=alias)(view)
        return view

    def perform_authentication(self, request: Request) -> None:
        """
        As any view; but a caller with a key is a program and gets JSON. A site's page may look up
        the user's rows, and a key has none.
        """
        super().perform_authentication(request)
        user: object = request.user
        if isinstance(user, ApiClient):
            _answer_in_json(request)

    def takes_upload(self, request: Request) -> bool:
        """Whether the body of this request is read as it arrives. All others must be short."""
        return False

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check the body's length and the caller before anything that takes long."""
        if not self.takes_upload(request):
            _limit_body(request)
        super().initial(request, *args, **kwargs)
        warn_of_time_limit()

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """No copy of an answer is kept on the way."""
        response.headers.setdefault("Cache-Control", "no-store")
        return super().finalize_response(request, response, *args, **kwargs)

    def handle_exception(self, exc: Exception) -> Response:
        """The log gets what is the server's fault."""
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
