"""
What the server tells everybody: that it is here, and well.

Plain views: probes have no key, and get JSON whatever they accept.
"""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from taskdog import __version__


@csrf_exempt  # another method is a 405, and not a page about a token
@require_safe
def root(request: HttpRequest) -> HttpResponse:
    """Says which server this is."""
    return JsonResponse({"message": "Taskdog API", "version": __version__})


@csrf_exempt
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Says that the server is up. It asks nothing of the database."""
    return JsonResponse({"status": "ok"})
