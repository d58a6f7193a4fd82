"""
Every URL of the site. None of the API ends with a slash: the clients ask without, and follow
nothing. The pages do.
"""

from django.urls import include, path
from django.views.generic import RedirectView

from backups.api.health_views import backup_health
from taskdog import views
from taskdog.login import ThrottledLoginView
from taskdog.schema.views import SchemaView, SwaggerView

urlpatterns = [
    path("", views.root, name="root"),
    path("health", views.health, name="health"),
    path("health/backups", backup_health, name="backup_health"),
    path("api/v1/", include("taskdog.tasks.urls")),
    path("api/v1/", include("taskdog.audit.urls")),
    path("api/v1/", include("backups.urls")),
    path("api/v1/schema", SchemaView.as_view(), name="schema"),
    path("api/v1/docs", SwaggerView.as_view(), name="docs"),
    path("backups", RedirectView.as_view(pattern_name="backups_page:overview")),
    path("backups/", include("backups.page.urls")),
    path("api-auth/login/", ThrottledLoginView.as_view()),  # in place of the next line's own
    path("api-auth/", include("rest_framework.urls")),  # staff log in to the browsable API
]

handler400 = "taskdog.errors.bad_request"
handler404 = "taskdog.errors.not_found"
handler500 = "taskdog.errors.server_error"
