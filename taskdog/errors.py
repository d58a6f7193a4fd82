"""
Errors as the API answers them: always ``{"detail": …}``, which is what the clients read.

What other apps raise and answer themselves never comes here, and DRF's own exceptions keep the
status that they have.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from rest_framework import status
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler

from taskdog.exceptions import NotFoundError, RuleError, TaskdogError
from taskdog.parsers import MalformedJsonError
from taskdog.validation import InputError, problem_list

STATUS: dict[type[TaskdogError], int] = {
    NotFoundError: status.HTTP_404_NOT_FOUND,
    RuleError: status.HTTP_400_BAD_REQUEST,
}


def answer_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """
    Turn what a view raised into its answer; DRF calls this as its EXCEPTION_HANDLER.

    :returns: None for what is nobody's mistake but ours, which then becomes a 500.
    """
    if isinstance(error, TaskdogError):
        return Response({"detail": str(error)}, status=_status_of(error))
    if isinstance(error, InputError):
        return _unprocessable(problem_list(error, part=error.part, given=error.given))
    if isinstance(error, ValidationError):
        return _unprocessable(problem_list(error, part="body", given=context["request"].data))
    if isinstance(error, MalformedJsonError):
        return _unprocessable([_json_problem(error)])
    return exception_handler(error, context)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a URL that leads nowhere."""
    return JsonResponse({"detail": "Not Found"}, status=404)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django refuses before a view sees it, such as an unknown Host."""
    return JsonResponse({"detail": "Bad Request"}, status=400)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a fault of ours; the log has the traceback."""
    return JsonResponse({"detail": "Internal Server Error"}, status=500)


def _status_of(error: TaskdogError) -> int:
    return next(code for kind, code in STATUS.items() if isinstance(error, kind))


def _unprocessable(problems: list[dict[str, Any]]) -> Response:
    return Response({"detail": problems}, status=status.HTTP_422_UNPROCESSABLE_ENTITY)


def _json_problem(error: ParseError) -> dict[str, Any]:
    return {"type": "json_invalid", "loc": ["body"], "msg": str(error.detail), "input": {}}
