"""
The OpenAPI description of the site, at ``/api/v1/schema``; to read in a browser, ``/api/v1/docs``.

drf-spectacular makes it from views and serializers. What it cannot see is stated here: errors,
who calls, how our fields look in JSON, and the endpoints of ``backups``, which knows nothing of
OpenAPI.
"""
