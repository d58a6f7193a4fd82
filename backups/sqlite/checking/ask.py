"""
Ask a child what is wrong with a file and what is in it, and turn its verdict into an error.

Only the child's answer counts: its exit code can be lost to a parent that reaps every child.
"""

import json
import signal
import subprocess
from collections.abc import Callable
from dataclasses import asdict, replace

from backups.exceptions import (
    CheckOutOfMemoryError,
    CheckTimedOutError,
    ChildFailedError,
    DamagedSnapshotError,
    StoreFolderError,
    UnknownFunctionError,
    UnknownSchemaError,
)
from backups.processes import limits
from backups.processes.spawn import ending, has_crashed, run_module
from backups.sqlite.checking.acceptance import Acceptance
from backups.sqlite.checking.findings import listed
from backups.sqlite.checking.messages import Question, Verdict
from backups.sqlite.checking.sandbox import processor_seconds
from backups.sqlite.site import Site


def ask_child(question: Question, watch: Callable[[], None] | None) -> Verdict:
    """
    Run the checks in a child.

    :raises CheckTimedOutError: it did not end in time.
    :raises DamagedSnapshotError: it crashed.
    :raises ChildFailedError: the machine or an operator ended it; the file may be whole.
    """
    try:
        child = run_module(
            "backups.sqlite.checking.check_child",
            json.dumps(asdict(question)),
            seconds=question.seconds,
            inherit=(question.settled,),
            with_site=bool(question.setup),
            watch=watch,
        )
    except subprocess.TimeoutExpired:
        raise _too_late(question.seconds) from None
    try:
        return Verdict(**json.loads(child.stdout))
    except (ValueError, TypeError):
        raise _no_verdict(child, question) from None


def ask_with_the_site(
    question: Question, first: Verdict, site: Site, watch: Callable[[], None] | None
) -> Verdict:
    """
    Ask again, in a child with the SQL functions and collations of this site's connections. It takes
    longer, since that child loads the site's code.
    """
    if not (setup := site.connection_setup()):
        return first
    verdict = ask_child(replace(question, setup=setup, wanted=first.unknown), watch)
    if verdict.is_in_vain:
        return first
    verdict.changed = verdict.changed or first.changed
    verdict.cleared += first.cleared
    verdict.unknown = verdict.unknown or (first.unknown if verdict.setup_failed else "")
    return verdict


def raise_findings(verdict: Verdict, question: Question, acceptance: Acceptance) -> None:
    """Raise the error that the verdict calls for, if any. Leaves defects to ``Acceptance``."""
    if verdict.is_late:
        raise _too_late(question.seconds)
    if verdict.intruder:
        raise UnknownSchemaError(
            f"The snapshot has a trigger on its login sessions, {verdict.intruder}, which would"
            " run when they are removed."
        )
    if verdict.is_out_of_memory:
        raise _out_of_memory(verdict)
    # If only rebuilding a table needs the unknown function, that is a defect and may be accepted.
    if verdict.unknown and (verdict.damage or not acceptance.takes_any):
        raise _unknown(verdict)
    if verdict.unread:
        raise StoreFolderError(f"{question.path} could not be checked: {verdict.unread}.")
    if verdict.damage:
        damage = listed(verdict.damage)
        raise DamagedSnapshotError(f"The file fails SQLite's integrity check: {damage}.")


def _no_verdict(
    child: "subprocess.CompletedProcess[bytes]", question: Question
) -> DamagedSnapshotError | CheckTimedOutError | ChildFailedError:
    """The error of a check without a verdict. Only a crash is blamed on the file."""
    how = ending(child).rstrip(".")
    if has_crashed(child):
        return DamagedSnapshotError(f"SQLite could not check the file: the check ended with {how}.")
    if child.returncode == -signal.SIGXCPU:
        most = limits.processor_seconds()
        if most is None or most > processor_seconds(question.seconds):
            return _too_late(question.seconds)
        how = f"its limit of {most} seconds of processor time (ulimit -t)"
    return ChildFailedError(f"The check of {question.path} did not finish: it ended with {how}.")


def _out_of_memory(verdict: Verdict) -> CheckOutOfMemoryError | ChildFailedError:
    """The error, by whose limit it was: ours, far above what a snapshot needs, or the machine's."""
    ours, inherited = verdict.memory_bytes, limits.address_space()
    if ours is None:
        return ChildFailedError("There is not enough memory to check the file.")
    most = f"{ours // limits.MEGABYTE:,} MiB of address space"
    if inherited is not None and inherited <= ours:
        return ChildFailedError(
            f"The check of the file ran out of memory: this service is limited to {most}"
            " (ulimit -v)."
        )
    return CheckOutOfMemoryError(f"The check of the file needs more than {most}.")


def _unknown(verdict: Verdict) -> UnknownFunctionError:
    message = f"The snapshot's schema uses the {verdict.unknown}, which the check does not know."
    if verdict.setup_failed:
        message += f" Setting up this site's connections failed there: {verdict.setup_failed}."
    return UnknownFunctionError(message)


def _too_late(seconds: float) -> CheckTimedOutError:
    return CheckTimedOutError(
        f"The check of the file was stopped: it did not end within {seconds:g} seconds."
    )
