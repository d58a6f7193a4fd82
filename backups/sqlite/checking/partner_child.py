"""The partner that helps to check a large file: ``main``, for a separate process."""

import json
import os
import select
import sys
from dataclasses import asdict
from pathlib import Path

from backups.processes.lifeline import end_with_parent
from backups.processes.spawn import answering, leave
from backups.sqlite.checking.messages import Question, load_setup
from backups.sqlite.checking.pragmas import Findings, find_parts
from backups.sqlite.checking.sandbox import Sandbox, confine, limit_process
from backups.sqlite.checking.shares import check_share


def main(question: str) -> None:
    """Check the parts handed out on standard input, and answer with ``Findings`` as JSON."""
    end_with_parent()
    with answering() as answer:
        asked = load_setup(Question(**json.loads(question)))
        answer.write(json.dumps(asdict(_check_share(asked))))
    if asked.setup:
        leave()


def _check_share(asked: Question) -> Findings:
    size = os.stat(asked.path).st_size
    limit_process(file_bytes=size, seconds=asked.seconds, memory_bytes=asked.memory_bytes)
    handed_out = sys.stdin.fileno()
    select.select([handed_out], [], [])  # once there is a part, the file does not change again
    confine(asked.path, functions=asked.functions, with_site=bool(asked.setup))
    sandbox = Sandbox(Path(asked.path), seconds=asked.seconds)
    if asked.setup:
        sandbox.bring_functions(asked.functions)
    return check_share(sandbox, asked, find_parts(sandbox.connection), handed_out)
