import ast
import inspect
import re
from http import HTTPStatus
from typing import Any

import pytest

from backups import exceptions
from backups.api.errors import error_response, status_of
from backups.exceptions import BackupError


def tree(root: type[BackupError] = BackupError) -> list[type[BackupError]]:
    """Every class of the tree, the root included."""
    return [root, *(kind for child in root.__subclasses__() for kind in tree(child))]


def made(kind: type[BackupError]) -> BackupError:
    """An instance, whatever numbers its class wants."""
    wanted = inspect.signature(kind).parameters
    numbers: dict[str, Any] = {
        name: 1 for name in ("needed_bytes", "free_bytes", "status") if name in wanted
    }
    return kind("What happened.", **numbers)


OURS = [kind for kind in tree() if kind.__module__ == exceptions.__name__]


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_each_error_has_a_status_and_a_body(kind: type[BackupError]) -> None:
    error = made(kind)
    assert HTTPStatus(status_of(error)) >= HTTPStatus.BAD_REQUEST
    body = error_response(error).data
    assert body["detail"] == "What happened."
    assert body["code"] == kind.code
    assert isinstance(body["hint"], str)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("InvalidSnapshotError", 400),
        ("NewerSnapshotError", 400),
        ("CheckTimedOutError", 400),
        ("UploadInterruptedError", 400),
        ("BadParameterError", 400),
        ("NoPendingRestoreError", 404),
        ("NoKeptCopyError", 404),
        ("RestoreBlockedError", 409),
        ("NeedsRestartError", 409),
        ("RestoreRefusedError", 409),
        ("LengthRequiredError", 411),
        ("SnapshotTooLargeError", 413),
        ("BodyTooLargeError", 413),
        ("SnapshotFailedError", 500),
        ("StoreFolderError", 500),
        ("BackupNotSupportedError", 501),
        ("TooManySnapshotsError", 503),
        ("NotEnoughSpaceError", 507),
        ("BackupError", 500),
    ],
)
def test_status_says_whose_fault_it_is(kind: str, status: int) -> None:
    assert status_of(made(getattr(exceptions, kind))) == status


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in OURS]
    assert sorted(set(codes)) == sorted(codes)


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_each_error_is_explained(kind: type[BackupError]) -> None:
    assert kind.__doc__
    assert re.fullmatch(r"[a-z_]+", kind.code)
    assert not kind.hint or re.search(r"\.$|: manage\.py [^.]+$", kind.hint)  # to be copied


def test_message_is_the_text_and_the_hint_can_be_its_own() -> None:
    error = exceptions.OwnFileError("It is the live one.", hint="Choose another.")
    assert (str(error), error.hint) == ("It is the live one.", "Choose another.")
    assert exceptions.OwnFileError.hint == ""


def test_tree_is_drawn_as_it_is() -> None:
    drawn: list[tuple[str, int]] = []
    for line in (exceptions.__doc__ or "").splitlines():
        if match := re.match(r"    ([│├└─ ]*)(\w+Error)\b", line):
            drawn.append((match[2], len(match[1]) // 4))
    real = [(kind.__name__, len(kind.__mro__) - len(BackupError.__mro__)) for kind in OURS]
    assert drawn == real


def test_module_imports_nothing() -> None:
    source = ast.parse(inspect.getsource(exceptions))
    assert not [node for node in ast.walk(source) if isinstance(node, ast.Import | ast.ImportFrom)]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("It failed: no such table..", "It failed: no such table."),
        ("It failed.", "It failed."),
        ("It goes on...", "It goes on..."),
    ],
)
def test_message_ends_with_one_full_stop_whatever_it_quotes(message: str, told: str) -> None:
    assert str(BackupError(message)) == told
