"""
Types commands: imports the command line once, and lets each command run in a fork of that.

To start Python for each would take a second; this takes a hundredth of it. It runs on the Python
of the command line, which has nothing of ours. A request is a line of JSON on standard input, an
answer a line on standard output.
"""

import importlib
import json
import os
import pkgutil
import sys
import tempfile
from typing import IO, Any


def main() -> None:
    """Answer until standard input ends."""
    command_line = importlib.import_module("taskdog.cli_main")
    importlib.import_module("taskdog_client")
    commands = importlib.import_module("taskdog.cli.commands")
    for found in pkgutil.walk_packages(commands.__path__, "taskdog.cli.commands."):
        importlib.import_module(found.name)  # what each command would import anew
    for line in sys.stdin:
        print(json.dumps(run(command_line, **json.loads(line))), flush=True)


def run(command_line: Any, *, arguments: list[str], stdin: str) -> dict[str, Any]:
    """Run one command as if it were typed; returns both its streams and the exit code."""
    temporary = tempfile.TemporaryFile
    with temporary() as given, temporary() as out, temporary() as err:
        given.write(stdin.encode())
        given.seek(0)
        child = os.fork()
        if child == 0:
            become(command_line, arguments, given, out, err)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        return {"out": text_of(out), "err": text_of(err), "code": code}


def become(
    command_line: Any, arguments: list[str], given: IO[bytes], out: IO[bytes], err: IO[bytes]
) -> None:
    """Be the command. Ends the process."""
    code: object = 1
    for number, file in enumerate((given, out, err)):
        os.dup2(file.fileno(), number)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    sys.argv = ["taskdog", *arguments]
    try:
        command_line.cli()
        code = 0
    except SystemExit as end:
        code = end.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def text_of(file: IO[bytes]) -> str:
    """What was written to a file, whoever wrote it."""
    file.seek(0)
    return file.read().decode()


if __name__ == "__main__":
    main()
