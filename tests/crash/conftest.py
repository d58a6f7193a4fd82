"""A process to work in for each test process, and the table of what was tried."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest

from tests.crash.worker import Worker

TRIED = "tried"  # the property of a test's report: verb, case, kind, points tried, points lost


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    """Where verbs are done."""
    with Worker() as started:
        yield started


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Points tried and points lost, for each verb and case."""
    tried: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    lost: Counter[tuple[str, str]] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in report.user_properties:
                if name == TRIED:
                    verb, case, kind, points, failures = value
                    tried[verb, case][kind] += points
                    lost[verb, case] += failures
    if not tried:
        return
    kinds = sorted({kind for counts in tried.values() for kind in counts})
    terminalreporter.section("system calls")
    terminalreporter.write_line(f"{'':45}" + "".join(f"{kind:>16}" for kind in [*kinds, "lost"]))
    for (verb, case), counts in tried.items():
        numbers = [*(counts[kind] for kind in kinds), lost[verb, case]]
        terminalreporter.write_line(
            f"{verb + ', ' + case:45}" + "".join(f"{n:16}" for n in numbers)
        )
    total = sum(counts.total() for counts in tried.values())
    terminalreporter.write_line(f"{total} points tried, {lost.total()} lost")
