"""
The same command line against two servers: its own, and ours.

Each side has a folder of its own that the command line runs in, and in which it keeps all that
it keeps.
"""

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.processes import CHECKOUT
from tests.site import Site

BIN = CHECKOUT / ".venv-cli" / "bin"  # make cli-test fills it
START_SECONDS = 30.0
KEY_NAME = "tester"  # as the audit log shows it
SERVER_TOML = """\
[auth]
enabled = true
[[auth.api_keys]]
name = "{name}"
key = "{key}"
"""
# Times of these years, for those that the transcript gives itself are in 2030; and how long ago.
NOW = re.compile(
    r"202\d-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?)?"
    r"|\b\d\d-\d\d \d\d:\d\d(:\d\d)?|\b\d:\d\d:\d\d\b"
)
AUDIT_ID = re.compile(r"<now> │ \d+ +│")  # refusals are in our audit log, and take ids


class Shown(NamedTuple):
    """What a command left, as far as it can be the same twice."""

    out: str
    err: str
    code: int


@dataclass
class Side:
    """One of the two: where its command line runs, the key that it shows, and its server."""

    folder: Path
    key: str
    url: str = ""
    _typist: "subprocess.Popen[str] | None" = None

    def run(self, *arguments: str, stdin: str = "") -> Shown:
        """Type ``taskdog`` with these arguments; its times of now become ``<now>``."""
        assert self._typist is not None
        assert self._typist.stdin is not None
        assert self._typist.stdout is not None
        request = json.dumps({"arguments": arguments, "stdin": stdin})
        self._typist.stdin.write(f"{request}\n")
        self._typist.stdin.flush()
        answer = json.loads(self._typist.stdout.readline())
        return Shown(self._same(answer["out"]), self._same(answer["err"]), answer["code"])

    @contextmanager
    def typing(self, url: str) -> Iterator[None]:
        """Have a command line at hand for a server, for the length of the block."""
        self.url = url
        with subprocess.Popen(
            [str(BIN / "python"), str(Path(__file__).with_name("typist.py"))],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as self._typist:
            yield

    @property
    def database(self) -> Path:
        """Where their server keeps its tasks."""
        return self.folder / "data" / "taskdog" / "tasks.db"

    def environment(self) -> dict[str, str]:
        """Nothing of the developer's own command line, and a wide terminal without colours."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TASKDOG_", "XDG_", "DJANGO_"))
        }
        return inherited | {
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_DATA_HOME": str(self.folder / "data"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "TASKDOG_API_BASE_URL": self.url,
            "TASKDOG_API_KEY": self.key,
            "COLUMNS": "240",
            "NO_COLOR": "1",
        }

    def _same(self, text: str) -> str:
        text = text.replace(str(self.folder), "<folder>").replace(self.url, "<url>")
        return AUDIT_ID.sub("<now> │ <id> │", NOW.sub("<now>", text))


@contextmanager
def their_server(side: Side) -> Iterator[None]:
    """Serve with ``taskdog-server`` on a free port; stopped at the end."""
    config = side.folder / "config" / "taskdog"
    config.mkdir(parents=True, exist_ok=True)
    (config / "server.toml").write_text(SERVER_TOML.format(name=KEY_NAME, key=side.key))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [str(BIN / "taskdog-server"), "--host", "127.0.0.1", "--port", str(port)],
        cwd=side.folder,
        env=side.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        log = []
        for line in process.stderr:
            log.append(line)
            if "Uvicorn running" in line:
                break
        else:
            raise AssertionError(f"their server did not start:\n{''.join(log)}")
        with side.typing(url):
            yield
    finally:
        process.terminate()
        process.communicate(timeout=START_SECONDS)


@contextmanager
def our_server(side: Side, site: Site) -> Iterator[None]:
    """Serve with this site; stopped at the end."""
    with site.serving() as server, side.typing(server.url):
        yield
