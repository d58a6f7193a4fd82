"""Who calls, in the description."""

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from backups.api.authentication import HEADER


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """The header with the key."""

    target_class = "backups.api.authentication.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        """Tell where the key goes."""
        about = "A key from `manage.py create_api_key`, with the scope of the endpoint."
        return {"type": "apiKey", "in": "header", "name": HEADER, "description": about}


class StaffSessionScheme(OpenApiAuthenticationExtension):
    """The cookie of a login."""

    target_class = "taskdog.authentication.StaffSessionAuthentication"
    name = "StaffSession"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        """Tell which cookie it is."""
        about = "The login of a staff user. Requests that change something need the CSRF token too."
        cookie = settings.SESSION_COOKIE_NAME
        return {"type": "apiKey", "in": "cookie", "name": cookie, "description": about}
