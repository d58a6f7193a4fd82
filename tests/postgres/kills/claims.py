"""
What holds after each kill, whatever was killed: the live database is there, with the old content or
with the new, whole; what was live is kept; what is pending has its manifest; the receipts say what
happened. After the next start nothing else is there.
"""

from collections.abc import Mapping

from tests.forks import in_child
from tests.postgres.kills.traces import wait_for_the_end_of_sessions
from tests.postgres.stores import Store

State = tuple[str, str]  # the labels of what is live and what is pending; empty for nothing
After = Mapping[State, tuple[str, ...]]  # what may be then, with the new receipts


def check(
    store: Store,
    after: After,
    before: list[str],
    next_start: tuple[str, ...] = ("applied",),
) -> State:
    """
    After a kill, and after the next start. Returns what was live and pending after the kill.

    :param before: the receipts before the work.
    :param next_start: those of the next start, if anything is pending.
    """
    state = _state(store)
    assert state in after
    assert store.outcomes() == [*before, *after[state]]
    _check_old_rows_are_kept(store)

    assert in_child(store.start) == 0
    wait_for_the_end_of_sessions(store)

    live, pending = state
    applied = pending and next_start == ("applied",)
    assert _state(store) == (pending if applied else live, "")
    receipts = [*before, *after[state], *(next_start if pending else ())]
    assert store.outcomes() == receipts
    _check_old_rows_are_kept(store)
    _check_nothing_else_is_there(store)
    return state


def _state(store: Store) -> State:
    pending = store.pending()
    status = store.real.get_status().pending
    assert (pending and pending.sha256) == (status and status.sha256)
    return store.label(), store.label(store.names.pending) if pending else ""


def _check_old_rows_are_kept(store: Store) -> None:
    assert any("old 1" in store.notes(name) for name in (store.database, *store.kept()))


def _check_nothing_else_is_there(store: Store) -> None:
    assert store.temporaries() == []
    named = [each.kept for each in store.receipts() if each.kept]
    removed = [name for each in store.receipts() for name in each.removed]
    found = [each for each in store.databases() if each not in removed]
    assert found == store.databases(), "what a receipt says to be removed is there"
    own = {store.database, store.names.control}
    assert {*named} - {*removed} <= set(found) - own
    unnamed = set(found) - own - set(named)
    assert all("_pre_restore_2020" in each for each in unnamed)
