"""Scripts that run in a process of their own, which they may limit or replace parts of."""

import subprocess
import sys
import textwrap


def run_script(script: str) -> "subprocess.CompletedProcess[str]":
    """Run it until it ends."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
