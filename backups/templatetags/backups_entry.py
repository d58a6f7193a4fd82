"""
The way to the pages, for the index of Django's admin and for the browsable API.

It gives nothing if the pages are not in the URLs, or if the reader may do nothing there. Whatever
goes wrong, these pages of others must not fail.
"""

import logging
from typing import Any, NamedTuple

from django import template
from django.template.context import Context
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext
from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.templatetags.rest_framework import optional_logout
from rest_framework.views import APIView

from backups.api.permissions import backup_permissions, restore_permissions

register = template.Library()
logger = logging.getLogger(__name__)

MENU = '<ul class="dropdown-menu">'  # of the browsable API, where it has a logout


class Entry(NamedTuple):
    """Where the pages begin, and which of them there are for a reader, by their titles."""

    url: str
    pages: dict[str, str]


@register.simple_tag(takes_context=True)
def backups_among(context: Context, apps: Any) -> Any:
    """The apps in the admin's index, with the pages after them as if they were an app."""
    if "app_label" in context or not isinstance(apps, list):  # the index of one app
        return apps
    if (entry := _entry(context)) is None:
        return apps
    page = {"add_url": None, "view_only": True, "perms": {"view": True}}
    models = [
        {**page, "name": title, "object_name": name, "admin_url": reverse(f"backups_page:{name}")}
        for name, title in entry.pages.items()
    ]
    app = {
        "name": gettext("Backups"),
        "app_label": "backups",
        "app_url": entry.url,
        "has_module_perms": True,
        "models": models,
    }
    return [*apps, app]


@register.simple_tag(takes_context=True)
def backups_in_menu(context: Context) -> SafeString:
    """The menu of a user of the browsable API, with the way to the pages in it."""
    token: Any = context.get("csrf_token", "")
    menu: str = optional_logout(context["request"], context["user"], token)
    if (entry := _entry(context)) is None:
        return mark_safe(menu)  # noqa: S308  # of Django REST framework
    item = format_html('<li><a href="{}">{}</a></li>', entry.url, gettext("Backups"))
    if MENU in menu:
        return mark_safe(menu.replace(MENU, MENU + item, 1))  # noqa: S308
    return mark_safe(item + menu)  # noqa: S308


def _entry(context: Context) -> Entry | None:
    """None if there are no pages, or none for this reader."""
    try:
        url = reverse("backups_page:overview")
    except NoReverseMatch:
        return None
    # The processor that puts it among the words is not in every project.
    request: Any = context.get("request") or getattr(context, "request", None)
    try:
        may_back_up, may_restore = _permissions(getattr(request, "_request", request))
    except Exception:  # a permission of the project's that expects more of a request
        logger.exception("the entry of the backups was left out of a page")
        return None
    if not (may_back_up or may_restore):
        return None
    pages = {"overview": gettext("Overview"), "snapshots": gettext("Snapshots")}
    if may_restore:
        pages["restore"] = gettext("Restore")
    return Entry(url, pages | {"history": gettext("History")})


def _permissions(http_request: Any) -> tuple[bool, bool]:
    request = Request(http_request)
    request.user = http_request.user
    request.auth = None
    view = APIView(request=request)

    def may(permissions: list[BasePermission]) -> bool:
        try:
            return all(each.has_permission(request, view) for each in permissions)
        except APIException:  # a permission that says so itself
            return False

    return may(backup_permissions()), may(restore_permissions())
