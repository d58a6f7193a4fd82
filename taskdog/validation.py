"""
Check the parts of a request, and tell what is wrong with them in the list that clients read.

One entry per problem, under ``detail``, with the status 422:

    {"type": "missing", "loc": ["body", "name"], "msg": "This field is required.", "input": {}}
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.settings import api_settings

Part = Literal["body", "query", "path"]
Location = tuple[str | int, ...]

# What DRF calls a problem → what the clients' own library does. Others are a "value_error".
TYPES = {
    "required": "missing",
    "null": "none_not_allowed",
    "blank": "string_too_short",
    "max_length": "string_too_long",
    "min_value": "greater_than_equal",
    "max_value": "less_than_equal",
    "not_a_list": "list_type",
    "offset": "timezone_naive",
    "int_parsing": "int_parsing",
}


class InputError(ValidationError):
    """A part of the request other than its body is not as it must be."""

    def __init__(self, detail: Any, *, part: Part, given: Any) -> None:
        super().__init__(detail)
        self.part: Part = part
        self.given = given


def read_body(serializer: serializers.BaseSerializer[Any]) -> dict[str, Any]:
    """Check the body against a serializer. :raises ValidationError: answered with 422."""
    serializer.is_valid(raise_exception=True)
    checked: dict[str, Any] = serializer.validated_data
    return checked


def read_query(
    request: Request, serializer_class: type[serializers.Serializer[Any]]
) -> dict[str, Any]:
    """
    Check the query parameters that a serializer names; others are ignored.

    A list takes every occurrence of its parameter, any other field the last one.

    :raises InputError: answered with 422.
    """
    query = request.query_params
    given = {
        name: query.getlist(name) if isinstance(field, serializers.ListField) else query[name]
        for name, field in serializer_class().fields.items()
        if name in query
    }
    serializer = serializer_class(data=given)
    if not serializer.is_valid():
        raise InputError(serializer.errors, part="query", given=given)
    checked: dict[str, Any] = serializer.validated_data
    return checked


def read_id(text: str, *, name: str) -> int:
    """Read an id from the path. :raises InputError: if it is not one of at most 19 digits."""
    if not re.fullmatch(r"-?[0-9]{1,19}", text):
        detail = {name: [ErrorDetail("A valid integer is required.", code="int_parsing")]}
        raise InputError(detail, part="path", given={name: text})
    return int(text)


def problem_list(error: ValidationError, *, part: Part, given: Any) -> list[dict[str, Any]]:
    """Render an error's problems, in the order of the fields."""
    return [
        {
            "type": _type_of(problem),
            "loc": [part, *location],
            "msg": str(problem),
            "input": _at(given, location),
        }
        for location, problem in _problems(error.detail, ())
    ]


def _type_of(problem: ErrorDetail) -> str:
    return TYPES.get(problem.code or "", "value_error")


def _problems(detail: Any, location: Location) -> Iterator[tuple[Location, ErrorDetail]]:
    """Walk through DRF's nested detail: dicts by field or position, lists of problems."""
    if isinstance(detail, ErrorDetail):
        yield location, detail
    elif isinstance(detail, Mapping):
        for key, inner in detail.items():
            whole = key == api_settings.NON_FIELD_ERRORS_KEY
            yield from _problems(inner, location if whole else (*location, key))
    elif isinstance(detail, Sequence) and not isinstance(detail, str):
        for inner in detail:
            yield from _problems(inner, location)


def _at(given: Any, location: Location) -> Any:
    """Find what stands at a location; what is around it, if there is nothing."""
    for step in location:
        try:
            given = given[step]
        except (KeyError, IndexError, TypeError):
            break
    return given
