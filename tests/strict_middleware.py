"""A middleware that saves whoever called after each request, as some note the last visit."""

from collections.abc import Callable

from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.http.response import HttpResponseBase

Answer = Callable[[HttpRequest], HttpResponseBase]


def save_user(get_response: Answer) -> Answer:
    """Save the user of the request, if it has one, with all that it was when it was read."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if isinstance(request.user, get_user_model()):  # and not an API key
            request.user.save()
        return response

    return answer
