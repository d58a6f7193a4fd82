"""
The way to the pages, for the index of Django's admin and for the browsable API.

It gives nothing if the pages are not in the URLs, or if the reader may do nothing there. Whatever
goes wrong, these pages of others must not fail.
"""

import logging
from typing import Any

from django import template
from django.template.context import Context
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext
from rest_framework.request import Request
from rest_framework.templatetags.rest_framework import optional_logout
from rest_framework.views import APIView

from backups.api.permissions import backup_permissions, restore_permissions

register = template.Library()
logger = logging.getLogger(__name__)

MENU = '<ul class="dropdown-menu">'  # of the browsable API, where it has a logout


@register.simple_tag(takes_context=True)
def backups_url(context: Context) -> str:
    """The URL of the pages; empty if there are none for this reader."""
    try:
        url = reverse("backups_page:overview")
    except NoReverseMatch:
        return ""
    # The processor that puts it among the words is not in every project.
    request: Any = context.get("request") or getattr(context, "request", None)
    request = getattr(request, "_request", request)
    try:
        return url if _may_something(request) else ""
    except Exception:  # a permission of the project's that expects more of a request
        logger.exception("the entry of the backups was left out of a page")
        return ""


@register.simple_tag(takes_context=True)
def backups_among(context: Context, apps: Any) -> Any:
    """The apps in the admin's index, with the pages after them as if they were an app."""
    if "app_label" in context or not isinstance(apps, list):  # the index of one app
        return apps
    if not (url := backups_url(context)):
        return apps
    page = {"add_url": None, "view_only": True, "perms": {"view": True}}
    pages = {
        "overview": gettext("Overview"),
        "snapshots": gettext("Snapshots"),
        "history": gettext("History"),
    }
    models = [
        {**page, "name": title, "object_name": name, "admin_url": reverse(f"backups_page:{name}")}
        for name, title in pages.items()
    ]
    entry = {
        "name": gettext("Backups"),
        "app_label": "backups",
        "app_url": url,
        "has_module_perms": True,
        "models": models,
    }
    return [*apps, entry]


@register.simple_tag(takes_context=True)
def backups_in_menu(context: Context) -> SafeString:
    """The menu of a user of the browsable API, with the way to the pages in it."""
    token: Any = context.get("csrf_token", "")
    menu: str = optional_logout(context["request"], context["user"], token)
    url = backups_url(context)
    if not url:
        return mark_safe(menu)  # noqa: S308  # of Django REST framework
    entry = format_html('<li><a href="{}">{}</a></li>', url, gettext("Backups"))
    if MENU in menu:
        return mark_safe(menu.replace(MENU, MENU + entry, 1))  # noqa: S308
    return mark_safe(entry + menu)  # noqa: S308


def _may_something(http_request: Any) -> bool:
    request = Request(http_request)
    request.user = http_request.user
    request.auth = None
    view = APIView(request=request)
    return any(
        all(each.has_permission(request, view) for each in permissions)
        for permissions in (backup_permissions(), restore_permissions())
    )
