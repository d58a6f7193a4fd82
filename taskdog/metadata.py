"""What OPTIONS answers: what an endpoint is for, and which types it speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.metadata import SimpleMetadata
from rest_framework.request import Request

if TYPE_CHECKING:  # at run time that module asks for this one, as the default metadata
    from rest_framework.views import APIView


class EndpointMetadata(SimpleMetadata):
    """
    DRF's own, without the fields of each body, which the OpenAPI schema has.

    To tell the fields of a PUT, DRF looks for the object first, and expects a queryset of a view
    that has its objects from a service.
    """

    def determine_actions(self, request: Request, view: APIView) -> dict[str, Any]:
        """Tell none."""
        return {}
