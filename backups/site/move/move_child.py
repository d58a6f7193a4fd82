"""
Move the rows of a SQLite file into an empty PostgreSQL database: ``main``, for a separate process.

There the site's database *is* the empty one. So data migrations that ignore ``using`` write to it,
and never to the live one.
"""

import faulthandler
import resource
import sys
import traceback
from pathlib import Path

from backups.conf import conf
from backups.processes import limits
from backups.processes.lifeline import end_with_parent
from backups.processes.spawn import answering, leave
from backups.site.child_database import point_at
from backups.site.move.answer import FAILED, NO_FAULT, NO_MEMORY, Answer, write_progress

GRACE_SECONDS = 10  # after which a child that nobody waits for ends itself


def main(
    alias: str,
    source: str,
    database: str,
    progress: str,
    seconds: str,
    memory: str,
    *applied: str,
) -> None:
    """
    Move the rows, then answer how it ended. All are strings, as the arguments of a process are.

    :param progress: the descriptor to tell how far it is.
    :param memory: the limit in bytes.
    """
    end_with_parent()
    with answering() as answer:
        # In case our parent is killed. The thread of faulthandler does not need Python's lock.
        faulthandler.dump_traceback_later(float(seconds) + GRACE_SECONDS, exit=True)
        limits.lower_processor_time(int(seconds) + GRACE_SECONDS)
        try:
            _set_up(alias, database)
        except Exception as error:  # a start of the site would fail in the same way
            traceback.print_exc()
            answer.write(Answer(NO_FAULT, message=f"The site can't be set up: {error}").written())
        else:
            if sys.platform == "linux":  # other systems do not enforce this limit
                most = limits.used_address_space() + int(memory)
                limits.lower(resource.RLIMIT_AS, most)
            answer.write(_move(alias, source, int(progress), applied).written())
    leave()


def _set_up(alias: str, database: str) -> None:
    import django

    conf.is_child = True  # the parent holds the live database, on our behalf
    point_at(alias, database)
    django.setup()


def _move(alias: str, source: str, progress: int, applied: tuple[str, ...]) -> Answer:
    from backups.site.move.moving import Moving

    def tell(step: str, done: int, total: int | None) -> None:
        write_progress(progress, step, done, total)

    try:
        return Moving(alias, Path(source), applied, tell).run()
    except MemoryError:
        return Answer(NO_MEMORY)
    except Exception as error:
        traceback.print_exc()
        return Answer(FAILED, message=f"The move to PostgreSQL failed: {error}")
