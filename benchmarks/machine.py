"""What was measured on: a ratio is of a machine and of versions."""

import contextlib
import os
import platform
import re
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers import LITESTREAM, POCKETBASE, TASKDOG_SERVER, Peers

PEERS = (TASKDOG_SERVER, POCKETBASE, LITESTREAM)
TOOLS = (  # how each tells its version
    ("sqlite3", ("sqlite3", "--version")),
    ("cp", ("cp", "--version")),
)


def describe(dbbackup: Path | None, peers: Peers) -> list[str]:
    """Lines of Markdown: when, where and with what."""
    packages = ("django", "djangorestframework", "gunicorn", "multipart", "requests")
    versions = [
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
        *(f"{name} {version(name)}" for name in packages),
        *(_tool(name, *command) for name, command in TOOLS),
    ]
    if dbbackup is not None:
        script = "from importlib.metadata import version; print(version('django-dbbackup'))"
        versions.append(_tool("django-dbbackup", str(dbbackup), "-c", script))
    versions += [found for peer in PEERS if (found := peers.version(peer))]
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return [
        f"Measured on {datetime.now(UTC):%Y-%m-%d at %H:%M} UTC, by `make bench`.",
        "",
        f"- machine: {os.cpu_count()} cores ({_processor()}), {_memory_gib():.0f} GiB of memory,"
        f" {platform.system()} {platform.release()}; load before: {load}",
        f"- versions: {', '.join(versions)}",
    ]


def _tool(name: str, *command: str) -> str:
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        if found := re.search(r"\d+(\.\d+)+", said):
            return f"{name} {found[0]}"
    return f"no {name}"


def _processor() -> str:
    with contextlib.suppress(OSError):
        if found := re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()):
            return found[1]
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
