"""Is this file a whole database, and what is in it? Header first, then SQLite in a child."""

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from backups.disk import files
from backups.exceptions import (
    DamagedSnapshotError,
    ForeignDatabaseError,
    InvalidSnapshotError,
)
from backups.sqlite.checking.acceptance import Acceptance
from backups.sqlite.checking.ask import ask_child, ask_with_the_site, raise_findings
from backups.sqlite.checking.contents import Contents
from backups.sqlite.checking.meanwhile import synced_and_hashed
from backups.sqlite.checking.messages import Question, Verdict
from backups.sqlite.format.file_length import check_header, cut_trailing_bytes
from backups.sqlite.format.readable import is_readable
from backups.sqlite.site import Found, Live, Site
from backups.store import DEFECTS


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
        warnings = (f"{cut:,} bytes behind the last page of the file were left out.",)
    check_header(descriptor)
    with synced_and_hashed(descriptor, Path(question.path), is_known=known is not None) as (
        settled,
        hashed,
    ):
        question = replace(question, settled=settled)
        verdict = ask_child(question, watch)
        if verdict.unknown:
            verdict = ask_with_the_site(question, verdict, site, watch)
    raise_findings(verdict, question, acceptance)
    check_header(descriptor)  # once more, for what was changed
    warnings += acceptance.judge(verdict)
    if not acceptance.was_live:
        _check_origin(verdict, site)
    sha256 = hashed.result() or (None if verdict.changed else known)
    return Contents.of(verdict, sha256 or files.sha256(Path(question.path)), warnings)


def _check_origin(verdict: Verdict, site: Site) -> None:
    if verdict.migrations_lack:
        lacking = verdict.migrations_lack[0]
        raise _foreign(f"its table django_migrations lacks the column {lacking}", verdict, site)
    if verdict.migrations == []:
        raise _foreign("its table django_migrations is empty", verdict, site)
    if verdict.migrations is None:
        raise _foreign("it has no table django_migrations", verdict, site)


def _foreign(reason: str, verdict: Verdict, site: Site) -> ForeignDatabaseError:
    """Of a database that the site knows all the same, the error says what to do with it."""
    message = f"The file is a SQLite database, but not one of this site: {reason}."
    if recognised := site.recognise(verdict.tables):
        return ForeignDatabaseError(f"{message} {recognised}", hint="Nothing was staged.")
    return ForeignDatabaseError(message)
