"""One case, stopped at one call after the other: the loop that the tests turn."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.crash import claims
from tests.crash.cases import Case, Place
from tests.crash.claims import State
from tests.crash.strace import Call, Fault, Tracer, from_then_on, takes_space
from tests.crash.worker import Ended, Worker

# Nobody handles SIGUSR1: it ends the process as SIGKILL does, but when the call has been done.
KILLS = {"killed before": "signal=KILL", "killed after": "signal=USR1"}
ERRORS = {code: f"error={code}" for code in ("ENOSPC", "EIO", "EACCES")}
FULL = "disk full from then on"
KINDS = (*KILLS, *ERRORS, FULL)


class MissedPointError(AssertionError):
    """The fault did not meet the call that was meant: the try proves nothing."""


@dataclass(frozen=True)
class Try:
    """One call to be stopped at, in one way."""

    kind: str
    call: Call

    def __str__(self) -> str:
        return f"{self.kind}: {self.call}"


class Tries:
    """Every try of one case, on a fresh copy of its place each."""

    def __init__(self, case: Case, root: Path, worker: Worker) -> None:
        """Prepares the place, and lists the calls of a run without a fault."""
        self._case, self._root, self._worker = case, root, worker
        self._template = Place(root / "template")
        case.prepare(self._template, worker)
        self._before = State.of(self._template)
        place, tracer, ended = self._run([])
        assert ended.outcome in claims.allowed(self._before), ended
        self._calls = tracer.calls()
        injected = {call.name for call in self._calls if call.is_injected}
        assert injected == {fault.names for fault in case.faults}
        claims.check_next_start(case, place, self._before, State.of(place), worker)

    def of_kind(self, *kinds: str) -> Iterator[Try]:
        """In the order of the calls. Errors at each call on the folder, kills at each change."""
        always = {fault.names for fault in self._case.faults}
        for call in self._calls:
            if not call.target or call.name in always:
                continue
            for kind in kinds:
                if kind == FULL and self._case.child and call.name == "write":
                    continue
                if _can_happen(kind, call):
                    yield Try(kind, call)

    def stop(self, attempt: Try) -> tuple[Place, Ended]:
        """
        Let the verb come to this call, and stop it there.

        :raises MissedPointError: it did not come to it.
        """
        place, tracer, ended = self._run(self._faults(attempt))
        self._check_met(attempt, tracer)
        return place, ended

    def check(self, attempt: Try) -> None:
        """Stop at that call, and check what is left."""
        place, ended = self.stop(attempt)
        try:
            if attempt.kind in KILLS:
                claims.check_after_kill(self._case, place, self._before, self._worker)
            else:
                claims.check_after_error(
                    self._case, place, self._before, attempt.call, ended, self._worker
                )
        except AssertionError as error:
            error.add_note(f"{self._case}; {attempt}; it said: {ended}")
            raise

    def _faults(self, attempt: Try) -> list[Fault]:
        if attempt.kind == FULL:
            return from_then_on(attempt.call, self._calls, pipes=bool(self._case.child))
        what = (KILLS | ERRORS)[attempt.kind]
        return [Fault(attempt.call.name, what, str(attempt.call.number))]

    def _run(self, faults: list[Fault]) -> tuple[Place, Tracer, Ended]:
        place = claims.copy(self._template, self._root / "try")
        only = {fault.names for fault in (*self._case.faults, *faults)} if faults else ()
        tracer = Tracer(
            place.data, self._root / "strace.log", *self._case.faults, *faults, only=only
        )
        verb, arguments = self._case.verb, self._case.arguments(place)
        if not self._case.child:
            ended = self._worker.run(verb, place.named, *arguments, tracer=tracer)
        else:
            python = self._root / "python"
            tracer.write_script(python, self._case.child)
            ended = self._worker.run(verb, place.named, *arguments, python=python)
        return place, tracer, ended

    def _check_met(self, attempt: Try, tracer: Tracer) -> None:
        """Read from the log that the fault met the call that was meant."""
        planned, calls = attempt.call, tracer.calls()
        met = [c for c in calls if (c.name, c.number) == (planned.name, planned.number)]
        if [c.target for c in met] != [planned.target]:
            raise MissedPointError(f"{planned} was not reached: {met}")
        if attempt.kind in KILLS:
            signal, is_done = (
                ("SIGKILL", False) if "KILL" in KILLS[attempt.kind] else ("SIGUSR1", True)
            )
            if (
                tracer.ending() != signal
                or calls[-1] != met[0]
                or (met[0].result != "?") != is_done
            ):
                raise MissedPointError(f"{planned} did not end by {signal}: {calls[-3:]}")
            return
        always = {fault.names for fault in self._case.faults}
        injected = [c for c in calls if c.is_injected and c.name not in always]
        if injected[:1] != met or (attempt.kind != FULL and len(injected) > 1):
            raise MissedPointError(f"{planned} was not the one that failed: {injected}")


def _can_happen(kind: str, call: Call) -> bool:
    if kind == FULL:
        return takes_space(call)
    if kind in ("EIO", "EACCES"):
        return True
    return call.changes  # to look takes no space, and to die before or after it is no difference
