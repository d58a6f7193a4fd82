"""Errors in the description: their bodies, and when each status comes."""

from collections.abc import Iterable, Mapping
from typing import Any

from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers


class ErrorSerializer(serializers.Serializer[Any]):
    """What happened, in words."""

    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """One thing that is wrong with a request."""

    type = serializers.CharField(help_text="For programs: missing, int_parsing, value_error, …")
    loc = serializers.ListField(
        child=serializers.JSONField(),
        help_text="Where: body, query or path, then the names and positions that lead there.",
    )
    msg = serializers.CharField()
    input = serializers.JSONField(help_text="What stands there.")


class ProblemListSerializer(serializers.Serializer[Any]):
    """All that is wrong with a request."""

    detail = ProblemSerializer(many=True)


MEANINGS: Mapping[int, str] = {
    400: "A rule forbids it, or there is no such filter or sort key. Nothing has changed.",
    401: "There is no API key, a wrong one, or one that has expired.",
    403: "The key lacks the scope, or the user is not of the staff.",
    404: "There is none with that id or name.",
    411: "The body comes in chunks, without its length.",
    413: "The body is longer than the limit, 1 MiB unless the site sets another.",
    414: "The URL is longer than 8190 bytes. Not JSON: the web server says so.",
    415: "The body is not JSON by its type.",
    422: "The request is not understood: a field, a parameter, an id, or the JSON itself.",
    429: "Too many wrong keys came from this address; `Retry-After` says how long to wait.",
}
ALWAYS = (401, 403, 429)
WITH_BODY = (411, 413, 415, 422)
WITH_QUERY = (414, 422)
BODIES = {414: None, 422: ProblemListSerializer}


def refusals(statuses: Iterable[int]) -> dict[int, OpenApiResponse]:
    """Describe the errors with these statuses, and those that every endpoint has."""
    return {
        status: OpenApiResponse(BODIES.get(status, ErrorSerializer), MEANINGS[status])
        for status in sorted({*ALWAYS, *statuses})
    }
