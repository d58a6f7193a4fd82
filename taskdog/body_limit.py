"""No body is long, but for the upload of a restore: checked first, before any of it is read."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import reverse

from backups.api.body_limit import refuse_large_body
from backups.api.errors import status_of
from backups.api.serializers import BackupErrorSerializer
from backups.exceptions import BackupError


class BodyLimitMiddleware:
    """Answer 413, or 411 if the length is not known, in the place of every view."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        """As Django makes it, once."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Look at the headers only. The server closes a connection whose body nobody has read."""
        if not is_upload(request):
            try:
                refuse_large_body(request)
            except BackupError as error:
                return JsonResponse(BackupErrorSerializer(error).data, status=status_of(error))
        return self.get_response(request)


def is_upload(request: HttpRequest) -> bool:
    """Whether this is the request whose body may be a database; its view has its own limit."""
    return request.method == "POST" and (
        request.path == reverse("backups:restore")
        or request.path.startswith(reverse("backups_page:restore") + "upload/")
    )
