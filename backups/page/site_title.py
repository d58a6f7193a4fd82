"""What the pages call the site."""

from django.apps import apps

from backups.conf import conf


def site_title() -> str:
    """The header of Django's admin, if the project has chosen one; else BACKUPS_NAME."""
    if apps.is_installed("django.contrib.admin"):
        from django.contrib import admin

        if admin.site.site_header != admin.AdminSite.site_header:
            return str(admin.site.site_header)
    return conf.name
