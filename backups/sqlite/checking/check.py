"""Whether a file is a whole database, and what is in it: by its header, then by SQLite."""

import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from backups.disk import files
from backups.exceptions import (
    DamagedSnapshotError,
    ForeignDatabaseError,
    InvalidSnapshotError,
    printable,
)
from backups.sqlite.checking.acceptance import Acceptance
from backups.sqlite.checking.ask import ask_child, ask_with_the_site, raise_findings
from backups.sqlite.checking.contents import Contents
from backups.sqlite.checking.findings import clip, listed
from backups.sqlite.checking.meanwhile import synced_and_hashed
from backups.sqlite.checking.messages import Question, Verdict
from backups.sqlite.format.file_length import check_header, cut_trailing_bytes
from backups.sqlite.format.readable import is_readable
from backups.sqlite.site import Found, Live, Site
from backups.store import DEFECTS

logger = logging.getLogger(__name__)
MOST_NAMED = 10  # tables in one line of the log


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
    Check a private copy of an untrusted file, and return what is in it.

    Checks, in order: the header, the length, ``integrity_check`` and ``foreign_key_check`` (of a
    large file only if the quicker check has a doubt), the table ``django_migrations``, that no
    migration is newer than this release, and that no table or column is missing or of another kind.

    Leaves the file in rollback-journal mode, without the rows of ``clear``. It is changed before it
    is checked, so the checks hold for what is there now. If one fails, the file may be half
    changed: delete it. Accepted defects, which SQLite can read past, do not fail; nor does what
    the site's code would refuse, if this site has run with the file.

    :param path: the name of the open file, for the child.
    :param seconds: wall clock time that SQLite's checks may take.
    :param live: what the live database has, to compare with.
    :param judged: the migrations that the file had at an earlier check. Only later ones are
        compared with the code, and those in ``live`` count as known.
    :param sha256: the file's hash before this check, if known.
    :param clear: tables to remove all rows from, if they exist.
    :param account: a name to look for among the accounts.
    :param acceptance: why to accept defects. A snapshot that this site has sent gets
        ``quick_check`` instead of ``integrity_check``: its indexes are not compared with tables.
    :param watch: called now and then while SQLite checks; if it raises, the check ends.
    :raises InvalidSnapshotError: a subclass for each check.
    :raises StoreFolderError: the system refuses to read the file, which may be whole.
    :raises OSError: the file can't be synced or hashed.
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
    contents: Contents, site: Site, live: Live, judged: Collection[str], acceptance: Acceptance
) -> tuple[str, ...]:
    """Check that it is of this site, and of this release or an older one. Returns warnings."""
    found = Found(contents.migrations, contents.tables, contents.programs, contents.generated)
    if judged:
        site.check_known(contents.migrations, live.migrations)
        site.check_tables(found, live, judged=judged)
        return ()
    warnings = site.check_origin(found, live, accept=acceptance.words)
    site.check_tables(found, live)
    site.plan(contents.migrations)  # refuses now what the next start would refuse
    return warnings


def check_file(
    descriptor: int, path: Path, *, seconds: float, site: Site, live: Live | None
) -> tuple[str, ...]:
    """
    Check a snapshot, and change nothing.

    :param live: what the live database has; None if the snapshot is of another site, whose
        migrations and tables this code does not know.
    :returns: warnings about what a restore would accept.
    :raises InvalidSnapshotError: a restore would refuse it.
    """
    check_header(descriptor)  # refuses trailing bytes, which check_snapshot would cut off
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
    Return what is in a file that this site has run with, whatever is wrong with it.

    Checks nothing and clears no rows: only bytes after the last page and the mark of WAL mode are
    removed. What can't be read counts as missing.

    :raises InvalidSnapshotError: the file is ruined, so that no site can have run with it.
    """
    cut_trailing_bytes(descriptor)
    check_header(descriptor)
    functions = site.functions()
    question = Question(str(path), seconds, functions=functions, is_ours=True, as_it_was=True)
    verdict = Verdict()
    with (
        synced_and_hashed(descriptor, path, is_known=False) as (settled, hashed),
        suppress(InvalidSnapshotError),
    ):
        verdict = ask_child(replace(question, settled=settled), watch)
    if not is_readable(path):
        raise DamagedSnapshotError("SQLite can't read the file: it was damaged after it was live.")
    return Contents.of(verdict, hashed.result() or files.sha256(path))


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
        warnings = (f"{cut:,} bytes after the last page of the file were left out.",)
    check_header(descriptor)
    path = Path(question.path)
    with synced_and_hashed(descriptor, path, is_known=known is not None) as (settled, hashed):
        question = replace(question, settled=settled)
        verdict = ask_child(question, watch)
        if verdict.unknown:
            verdict = ask_with_the_site(question, verdict, site, watch)
    _log_reasons(path, verdict)
    raise_findings(verdict, question, acceptance)
    check_header(descriptor)  # again, since the child may have changed the file
    warnings += acceptance.judge(verdict)
    if not acceptance.was_live:
        _check_origin(verdict, site)
    sha256 = hashed.result() or (None if verdict.changed else known)
    return Contents.of(verdict, sha256 or files.sha256(path), warnings)


def _log_reasons(path: Path, verdict: Verdict) -> None:
    """Log why ``integrity_check`` had to run."""
    if verdict.by_sqlite:
        tables = ", ".join(map(clip, verdict.by_sqlite[:MOST_NAMED]))
        more = len(verdict.by_sqlite) - MOST_NAMED
        tables += f" and {more:,} more" if more > 0 else ""
        words = "Check of %s: only integrity_check can compare the indexes of %s."
        logger.info(words, path, printable(tables))
    if verdict.doubts:
        words = "Check of %s: the quicker check has a doubt, so integrity_check decides: %s."
        logger.info(words, path, printable(listed(verdict.doubts)))


def _check_origin(verdict: Verdict, site: Site) -> None:
    if verdict.migrations_lack:
        reason = f"its table django_migrations lacks the column {verdict.migrations_lack[0]}"
    elif verdict.migrations is None:
        reason = "it has no table django_migrations"
    elif not verdict.migrations:
        reason = "its table django_migrations is empty"
    else:
        return
    message = f"The file is a SQLite database, but not one of this site: {reason}."
    if what_to_do := site.recognise(verdict.tables):
        raise ForeignDatabaseError(f"{message} {what_to_do}", hint="Nothing was staged.")
    raise ForeignDatabaseError(message)
