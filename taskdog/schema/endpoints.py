"""How an endpoint comes into the description."""

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.serializers import Serializer

from taskdog.schema.errors import WITH_BODY, WITH_QUERY, refusals

Method = TypeVar("Method", bound=Callable[..., Any])
SerializerClass = type[Serializer[Any]]


def documented(
    answer: SerializerClass | None,
    *,
    status: int = 200,
    body: SerializerClass | None = None,
    query: SerializerClass | None = None,
    errors: Iterable[int] = (),
) -> Callable[[Method], Method]:
    """
    Describe a method of a view: what it takes, what it answers, and its errors.

    :param answer: None for none.
    :param body: None for an endpoint that does not read one.
    :param errors: besides those of every endpoint, and of those that read a body or a query.
    """
    about = str(answer.__doc__).strip().partition("\n")[0] if answer else "No content."
    statuses = {*errors, *(WITH_BODY if body else ()), *(WITH_QUERY if query else ())}
    return extend_schema(
        request=body,
        parameters=[query] if query else None,
        responses={status: OpenApiResponse(answer, about), **refusals(statuses)},
    )


class EndpointSchema(AutoSchema):
    """drf-spectacular's own, which takes ids for text, and shows no summary."""

    def get_override_parameters(self) -> list[Any]:
        """Tell that ids are whole numbers; in the URLs they are text, for the sake of a 422."""
        return [
            OpenApiParameter(name, OpenApiTypes.INT64, OpenApiParameter.PATH)
            for name in re.findall(r"{(\w+_id)}", self.path)
        ]

    def get_summary(self) -> str | None:
        """Give the first line of the method's docstring."""
        return self._docstring()[0].rstrip(".")

    def get_description(self) -> str:  # type: ignore[override]  # as drf-spectacular has it
        """Give the rest of it."""
        return self._docstring()[1]

    def _docstring(self) -> tuple[str, str]:
        first, _, rest = str(super().get_description()).partition("\n")
        return first, rest.strip()
