"""Is this file a whole database, and what is in it? Header first, then SQLite in a child."""

import json
import signal
import subprocess
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from backups.disk import files
from backups.exceptions import (
    CheckOutOfMemoryError,
    CheckTimedOutError,
    ChildFailedError,
    DamagedSnapshotError,
    ForeignDatabaseError,
    InvalidSnapshotError,
    StoreFolderError,
    UnknownFunctionError,
    UnknownSchemaError,
)
from backups.processes import limits
from backups.processes.spawn import ending, has_crashed, run_module
from backups.sqlite.checking.acceptance import Acceptance
from backups.sqlite.checking.defects import Defects
from backups.sqlite.checking.meanwhile import synced_and_hashed
from backups.sqlite.checking.messages import Question, Verdict
from backups.sqlite.checking.sandbox import processor_seconds
from backups.sqlite.format.file_length import check_header, cut_trailing_bytes
from backups.sqlite.format.readable import is_readable
from backups.sqlite.format.schema import Program
from backups.sqlite.site import Found, Live, Site
from backups.store import DEFECTS


@dataclass(frozen=True)
class Contents:
    """What a whole snapshot says of itself."""

    migrations: tuple[str, ...]  # ``app.name`` of every migration that was applied, in order
    tables: Mapping[str, frozenset[str]]  # of each real table its columns; names are folded
    generated: Mapping[str, frozenset[str]]  # of those the computed columns
    programs: tuple[Program, ...]  # its triggers, views and virtual tables
    cleared: int  # rows that the check has removed
    changed: bool  # whether the bytes are not those that were to be checked any more
    sha256: str  # of the bytes as they are now, as 64 hex digits
    account_is_missing: bool
    defects: Defects = field(default_factory=dict)  # those that it was accepted with
    warnings: tuple[str, ...] = ()  # of what was accepted


def check_snapshot(
    descriptor: int,
    path: Path,
    *,
    seconds: float,
    site: Site,
    live: Live,
    judged: Collection[str] = (),
    sha256: str | None = None,
    clear: Collection[str] = (),
    account: str | None = None,
    acceptance: Acceptance | None = None,
    watch: Callable[[], None] | None = None,
) -> Contents:
    """
    Check an untrusted file of our own, and say what is in it.

    In order: the header, the length, ``integrity_check``, ``foreign_key_check``, the table
    ``django_migrations``, that no migration is newer than this release, that no table or
    column is missing or of another kind.

    The file is left in rollback-journal mode, without the rows of ``clear``; whatever of it has
    to be changed for that is changed before it is checked, so what passes is what is there now.
    If a check fails, the file may be half changed: throw it away. Defects, which SQLite can read
    past, are not a failure if they are accepted; nor is anything that the site's own code would
    refuse, if this site has run with it.

    :param descriptor: the open file; ``path`` is its name, for the child.
    :param seconds: wall clock time that SQLite's checks may take.
    :param live: what the live database has, to compare with.
    :param judged: the migrations of a file that was checked before they were added to: only what
        is new is compared with the code then, and ``live`` says what counts as known.
    :param sha256: of the file as it is before, if that is known.
    :param clear: tables whose rows are to be removed, as far as they are there.
    :param account: a name to look for among the accounts.
    :param acceptance: what speaks for taking it although it has defects. Of a snapshot that this
        site has sent, ``quick_check`` takes the place of ``integrity_check``, and does not compare
        the indexes with their tables.
    :param watch: called now and then while SQLite checks; if it raises, the check ends.
    :raises InvalidSnapshotError: a subclass for each check, with its own sentence.
    :raises StoreFolderError: the system refuses to read it, which says nothing of the file.
    :raises OSError: it can't be synced or hashed.
    """
    acceptance = acceptance or Acceptance()
    question = Question(
        str(path),
        seconds,
        clear=tuple(clear),
        account=None if account is None else (*site.account_column(), account),
        functions=site.functions(),
        is_ours=acceptance.is_ours,
    )
    contents = _read_whole(descriptor, question, site, acceptance, sha256, watch)
    try:
        warnings = _compare(contents, site, live, judged, acceptance)
    except InvalidSnapshotError as error:
        if not acceptance.was_live:
            raise
        warnings = (str(error),)
    return replace(contents, warnings=(*contents.warnings, *warnings))


def _compare(
    contents: Contents,
    site: Site,
    live: Live,
    judged: Collection[str],
    acceptance: Acceptance,
) -> tuple[str, ...]:
    """Whether it is of this site and this release, or an older one. Returns warnings."""
    found = Found(contents.migrations, contents.tables, contents.programs, contents.generated)
    if judged:
        site.check_known(contents.migrations, live.migrations)
        site.check_tables(found, live, judged=judged)
        return ()
    warnings = site.check_origin(found, live, accept=acceptance.words)
    site.check_tables(found, live)
    site.plan(contents.migrations)  # what the start will refuse is refused now
    return warnings


def check_file(
    descriptor: int, path: Path, *, seconds: float, site: Site, live: Live | None
) -> tuple[str, ...]:
    """
    Check a snapshot that is to be kept, and change nothing.

    :param live: what the live database has that it is of; None if it is another site's, of which
        this code knows neither migrations nor tables.
    :returns: what is wrong with it, though a restore would take it.
    :raises InvalidSnapshotError: a restore would refuse it.
    """
    check_header(descriptor)  # here already: so there is nothing to cut off
    contents = check_snapshot(
        descriptor,
        path,
        seconds=seconds,
        site=site,
        live=live or Live(),
        acceptance=Acceptance([DEFECTS], was_live=live is None),
    )
    if live is None:
        return contents.warnings[: bool(contents.defects)]
    warnings, _ = site.check_programs(contents.programs, live, applied=contents.migrations)
    return (*contents.warnings, *warnings)


def look_into(
    descriptor: int,
    path: Path,
    *,
    seconds: float,
    site: Site,
    watch: Callable[[], None] | None = None,
) -> Contents:
    """
    Say what is in a file that this site has run with, whatever is wrong with it.

    Checks nothing and clears nothing. What can't be read counts as missing. Of the
    file, only what lies behind its last page and its mark of WAL mode go.

    :raises InvalidSnapshotError: no site can have run with it: it was ruined since.
    """
    cut_trailing_bytes(descriptor)
    check_header(descriptor)
    question = Question(
        str(path), seconds, functions=site.functions(), is_ours=True, as_it_was=True
    )
    verdict = Verdict()
    with (
        synced_and_hashed(descriptor, path, is_known=False) as (settled, hashed),
        suppress(InvalidSnapshotError),
    ):
        verdict = _ask_child(replace(question, settled=settled), watch)
    if not is_readable(path):
        raise DamagedSnapshotError("SQLite can't read the file: it was damaged after it was live.")
    return _describe(verdict, hashed.result() or files.sha256(path), ())


def _read_whole(
    descriptor: int,
    question: Question,
    site: Site,
    acceptance: Acceptance,
    known: str | None,
    watch: Callable[[], None] | None,
) -> Contents:
    warnings: tuple[str, ...] = ()
    if acceptance.takes_any and (cut := cut_trailing_bytes(descriptor)):
        known = None
        warnings = (f"{cut:,} bytes behind the last page of the file were left out.",)
    check_header(descriptor)
    with synced_and_hashed(descriptor, Path(question.path), is_known=known is not None) as (
        settled,
        hashed,
    ):
        question = replace(question, settled=settled)
        verdict = _ask_child(question, watch)
        if verdict.unknown:
            verdict = _ask_with_the_site(question, verdict, site, watch)
    _raise_findings(verdict, question, acceptance)
    check_header(descriptor)  # once more, for what was changed
    warnings += acceptance.judge(verdict)
    if not acceptance.was_live:
        _check_origin(verdict, site)
    sha256 = hashed.result() or (None if verdict.changed else known)
    return _describe(verdict, sha256 or files.sha256(Path(question.path)), warnings)


def _ask_with_the_site(
    question: Question, first: Verdict, site: Site, watch: Callable[[], None] | None
) -> Verdict:
    """Once more, in a child that knows what this site's connections know. It takes longer."""
    if not (setup := site.connection_setup()):
        return first
    verdict = _ask_child(replace(question, setup=setup, wanted=first.unknown), watch)
    if verdict.is_in_vain:
        return first
    verdict.changed = verdict.changed or first.changed
    verdict.cleared += first.cleared
    verdict.unknown = verdict.unknown or (first.unknown if verdict.setup_failed else "")
    return verdict


def _raise_findings(verdict: Verdict, question: Question, acceptance: Acceptance) -> None:
    if verdict.is_late:
        raise _too_late(question.seconds)
    if verdict.intruder:
        raise UnknownSchemaError(
            f"The snapshot has a trigger on its login sessions, {verdict.intruder}, which would"
            " run when they are removed."
        )
    if verdict.is_out_of_memory:
        raise _out_of_memory(verdict)
    # A table that lacks a function for its next backup only has a defect, which may be accepted.
    if verdict.unknown and (verdict.damage or not acceptance.takes_any):
        raise _unknown(verdict)
    if verdict.unread:
        raise StoreFolderError(f"{question.path} could not be checked: {verdict.unread}.")
    if verdict.damage:
        raise DamagedSnapshotError(
            f"The file fails SQLite's integrity check: {_list(verdict.damage)}."
        )


def _check_origin(verdict: Verdict, site: Site) -> None:
    if verdict.migrations_lack:
        lacking = verdict.migrations_lack[0]
        raise _foreign(f"its table django_migrations lacks the column {lacking}", verdict, site)
    if verdict.migrations == []:
        raise _foreign("its table django_migrations is empty", verdict, site)
    if verdict.migrations is None:
        raise _foreign("it has no table django_migrations", verdict, site)


def _describe(verdict: Verdict, sha256: str, warnings: tuple[str, ...]) -> Contents:
    return Contents(
        migrations=tuple(verdict.migrations or ()),
        tables={table: frozenset(columns) for table, columns in verdict.tables.items()},
        generated={table: frozenset(names) for table, names in verdict.generated.items()},
        programs=tuple(Program(*words) for words in verdict.programs),
        cleared=verdict.cleared,
        changed=verdict.changed,
        sha256=sha256,
        account_is_missing=verdict.account_is_missing,
        defects=verdict.defects,
        warnings=warnings,
    )


def _foreign(reason: str, verdict: Verdict, site: Site) -> ForeignDatabaseError:
    """Of a database that the site knows all the same, the error says what to do with it."""
    message = f"The file is a SQLite database, but not one of this site: {reason}."
    if recognised := site.recognise(verdict.tables):
        return ForeignDatabaseError(f"{message} {recognised}", hint="Nothing was staged.")
    return ForeignDatabaseError(message)


def _ask_child(question: Question, watch: Callable[[], None] | None) -> Verdict:
    """Run the checks in a child, whose word on stdout counts and not its exit code."""
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


def _no_verdict(
    child: "subprocess.CompletedProcess[bytes]", question: Question
) -> DamagedSnapshotError | CheckTimedOutError | ChildFailedError:
    """What a check that said nothing died of: only a crash is the file's doing."""
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
    """Of our own limit, which is high above what a snapshot needs, or of the machine's."""
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
        message += f" Setting up this site's own connections failed there: {verdict.setup_failed}."
    return UnknownFunctionError(message)


def _too_late(seconds: float) -> CheckTimedOutError:
    return CheckTimedOutError(
        f"The check of the file was stopped: it did not end within {seconds:g} seconds."
    )


def _list(findings: list[str]) -> str:
    return "; ".join(finding.rstrip(".") for finding in findings)
