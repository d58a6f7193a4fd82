"""
The login page of the staff, which slows down who guesses passwords.

Failures are counted by name and address together, so that a stranger locks nobody out, and by
address alone, so that one machine can't try many names, nor keep the processors busy with
hashes. Both in files that all workers share. A person who is logged in, and a key, never wait.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.http import HttpRequest, HttpResponse

from backups.disk import files
from backups.keys.addresses import client_address, network
from backups.keys.attempts import Attempts

logger = logging.getLogger(__name__)

WINDOW = 300.0  # seconds, from the first failure
MOST_OF_A_NAME = 10  # from one address; a person who has forgotten it gives up before
MOST_OF_AN_ADDRESS = 60  # for all names: an office behind one address still gets in
LIMITED = {"OPTIONS": {"MAX_ENTRIES": 5000}}  # files of one block each: 20 MB at most


class ThrottledLoginForm(AuthenticationForm):
    """Counts each try before the password is looked at, so that none slips by at the same time."""

    wait_seconds = 0

    class Meta:
        """Empty. The plugin of mypy for Django waits for ever for one."""

    def clean(self) -> dict[str, Any]:
        """Check the password, unless it was too often. :raises ValidationError: as Django does."""
        name, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if name is None or not password:
            return super().clean()
        assert self.request is not None  # the view gives it
        address = client_address(self.request)
        self.wait_seconds = _begin(name, address)
        if self.wait_seconds:
            _log_refusal(self.request, name, address, self.wait_seconds)
            raise forms.ValidationError(_too_many(self.wait_seconds), code="throttled")
        try:
            cleaned = super().clean()
        except forms.ValidationError:
            logger.warning("A login as %r from %s failed.", name, address)
            raise
        logger.info("A login as %r from %s succeeded.", name, address)
        _succeed(name, address)
        return cleaned


class ThrottledLoginView(LoginView):
    """As Django's, in the look of the browsable API; 429 once it was too often."""

    template_name = "rest_framework/login.html"
    authentication_form = ThrottledLoginForm

    def form_invalid(self, form: Any) -> HttpResponse:
        """Show the form again, and say to programs when to come back."""
        response = super().form_invalid(form)
        if form.wait_seconds:
            response.status_code = 429
            response["Retry-After"] = str(form.wait_seconds)
        return response


class Counts(NamedTuple):
    """What is counted of the tries to log in."""

    by_name: Attempts
    by_address: Attempts

    def begin(self, name: str, address: str) -> int:
        """Count a try. Returns the seconds to wait if it is one too many, else 0."""
        whole = network(address)
        if wait := self.by_address.add(whole):
            return wait
        if wait := self.by_name.add(f"{whole} {name}"):
            self.by_address.take_back(whole)  # it costs no hash
        return wait

    def succeed(self, name: str, address: str) -> None:
        """The last try was the right one."""
        whole = network(address)
        self.by_address.take_back(whole)
        self.by_name.forget(f"{whole} {name}")


# Where the files can't be used, each process counts for itself.
own_cache = LocMemCache("taskdog.login", LIMITED)
own_counts = Counts(
    Attempts(own_cache, most=MOST_OF_A_NAME, seconds=WINDOW),
    Attempts(own_cache, most=MOST_OF_AN_ADDRESS, seconds=WINDOW),
)


refusals = Attempts(own_cache, most=1, seconds=WINDOW)  # so that they do not fill the log


def _log_refusal(request: HttpRequest, name: str, address: str, seconds: int) -> None:
    if refusals.add(f"refused {address}"):
        return
    by_a_proxy = "X-Forwarded-For" in request.headers and not settings.TASKDOG_NUM_PROXIES
    hint = (
        " If that is the address of a proxy, so that others wait too, set TASKDOG_NUM_PROXIES=1."
        if by_a_proxy
        else ""
    )
    logger.warning(
        "Too many logins from %s failed, the last as %r. More tries are refused for %s s.%s",
        address,
        name,
        seconds,
        hint,
    )


def _begin(name: str, address: str) -> int:
    try:
        return _shared_counts().begin(name, address)
    except Exception as error:  # a full disk, or a file that a power cut left
        logger.warning("Failed logins can't be counted in files: %s", error)
        return own_counts.begin(name, address)


def _succeed(name: str, address: str) -> None:
    own_counts.succeed(name, address)
    try:
        _shared_counts().succeed(name, address)
    except Exception as error:
        logger.warning("Failed logins can't be counted in files: %s", error)


def _shared_counts() -> Counts:
    # Not one of CACHES: Django's checks would make its folder in every command.
    cache = FileBasedCache(str(settings.TASKDOG_FAILED_LOGINS), LIMITED)
    return Counts(
        Attempts(cache, most=MOST_OF_A_NAME, seconds=WINDOW, lock=_one_process),
        Attempts(cache, most=MOST_OF_AN_ADDRESS, seconds=WINDOW, lock=_one_process),
    )


@contextmanager
def _one_process() -> Iterator[None]:
    """Let one thread of one process at a time count."""
    with files.exclusive_folder(Path(settings.TASKDOG_FAILED_LOGINS)):
        yield


def _too_many(seconds: int) -> str:
    minutes = ceil(seconds / 60)
    return f"Too many failed logins. Try again in {minutes} minute{'s' if minutes > 1 else ''}."
