"""Wait for a job as long as a request may, and answer with what became of it."""

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from backups.api import archive_serializers as shapes
from backups.api import caller
from backups.api.errors import error_answer
from backups.api.views import restore_status
from backups.archive import jobs
from backups.archive.jobs import Job
from backups.conf import conf
from backups.exceptions import ChildFailedError, RestoreBlockedError, codes, kind_of

LOOK_FIRST = "See what came of it before you try again: GET backups, or GET restore."
STILL_PENDING = codes(RestoreBlockedError) | {"not_enough_space"}  # it may be: say what is pending


def job_answer(request: Request, job: Job) -> Response:
    """
    What the work answers or its error, as if it had been done here; 202 if it still goes on.

    :raises ChildFailedError: its process was stopped.
    """
    job = jobs.wait(job, seconds=conf.job_seconds)
    if job.outcome == "failed":
        return _failed(job)
    if job.outcome == "stopped":
        raise ChildFailedError(shapes.MESSAGES["stopped"], hint=LOOK_FIRST)
    if job.is_running:
        return _located(request, "job", job.id, Response(shapes.JobSerializer(job).data, 202))
    if job.answer.get("status") == "applied":
        caller.renew(request)
    if job.work != "store":
        return Response(job.answer)
    status = 201 if job.answer["status"] == "stored" else 200
    return _located(request, "stored", job.answer["backup"]["id"], Response(job.answer, status))


def _failed(job: Job) -> Response:
    assert job.error is not None
    kind = kind_of(job.error["code"])
    response = error_answer(kind, job.error["message"], job.error["hint"])
    if job.work == "restore" and kind.code in STILL_PENDING:
        response.data = restore_status() | response.data
    return response


def _located(request: Request, name: str, key: str, response: Response) -> Response:
    """The response with the URL of what it is about."""
    match = request.resolver_match
    assert match is not None
    response["Location"] = reverse(":".join([*match.namespaces, name]), args=[key])
    return response
