"""Who may do what on the site of a test."""

from rest_framework.permissions import BasePermission


class Nobody(BasePermission):
    """Allows nobody."""

    def has_permission(self, request: object, view: object) -> bool:
        return False
