"""
PocketBase, which makes zip files of its data folder, and restores them.

Its database is a copy of the benchmark's store, to which it adds its tables.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import requests

from benchmarks.peers import POCKETBASE, Peers, enter_server, output_of
from benchmarks.rounds import Candidate
from benchmarks.samples import LeftOutError, Sample, run_client, run_watched
from benchmarks.serving import Server, free_port

UPLOAD = "PocketBase: upload of its zip, restore, until it serves again"
DOWNLOAD = "PocketBase: its zip over HTTP (a vacuumed copy, deflated)"
MAIL, PASSWORD = "benchmark@example.com", "of-no-use"
LISTENS = r"Server started at (\S+)"
HEADER = "--header=Authorization"


@dataclass(frozen=True)
class PocketBase:
    """The server, a token for its API, and its database."""

    server: Server
    token: str
    database: Path

    def downloads(self) -> list[Candidate]:
        """Its way to a copy."""
        return [Candidate(DOWNLOAD, self._watched_download, self.database)]

    def uploads(self, _snapshot: Path) -> list[Candidate]:
        """Its way back, without a writer: it puts another file in the place of its database."""
        archive = self.database.parent.with_suffix(".zip")
        self._download(f"--output={archive}")
        return [Candidate(UPLOAD, lambda: self._restore(archive))]

    def _watched_download(self) -> Sample:
        return run_watched(self._download, self.server.pid)

    def _download(self, *options: str) -> Sample:
        started = time.monotonic()
        self._api("POST", "backups", name="download.zip")
        made = time.monotonic() - started
        token = self._api("POST", "files/token").json()["token"]
        url = f"{self.server.url}/api/backups/download.zip?token={token}"
        sample = run_client(url, self.token, HEADER, *options)
        self._api("DELETE", "backups/download.zip")
        first = made + (sample.first or 0)
        return replace(sample, started=started, seconds=made + sample.seconds, first=first)

    def _restore(self, archive: Path) -> Sample:
        sample = run_watched(lambda: self._upload_and_restore(archive), self.server.pid)
        self._api("DELETE", f"backups/{archive.name}")
        return sample

    def _upload_and_restore(self, archive: Path) -> Sample:
        url = f"{self.server.url}/api/backups/upload"
        sample = run_client(url, self.token, HEADER, f"--upload={archive}", "--form")
        uploaded = time.monotonic()
        self._api("POST", f"backups/{archive.name}/restore")
        try:
            self.server.log.wait_for(LISTENS)
        except RuntimeError as error:
            raise LeftOutError(f"it did not restart: {str(error).splitlines()[-1]}") from error
        return replace(sample, seconds=sample.seconds + time.monotonic() - uploaded)

    def _api(self, method: str, path: str, **values: str) -> requests.Response:
        return _ask(method, f"{self.server.url}/api/{path}", self.token, values)


def _ask(method: str, url: str, token: str, values: dict[str, str]) -> requests.Response:
    headers = {"Authorization": token}
    try:
        answer = requests.request(method, url, headers=headers, json=values, timeout=180)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise LeftOutError(str(error)) from error
    return answer


@contextmanager
def pocketbase(peers: Peers, folder: Path, copy: Path) -> Iterator[PocketBase]:
    """
    Run it until the end of the block, in an existing folder, with a copy of this database.

    :raises LeftOutError: it is not available, or does not start.
    """
    program = peers.program(POCKETBASE)
    data = folder / "data"
    data.mkdir()
    shutil.copyfile(copy, data / "data.db")
    # It restarts when anything changes in the folder of its hooks.
    unused = folder / "unused"
    command: list[str | Path] = [program, f"--dir={data}"]
    command += [f"--{name}Dir={unused}" for name in ("hooks", "migrations", "public")]
    output_of(*command, "superuser", "upsert", MAIL, PASSWORD)
    with ExitStack() as stack:
        serve = [*command, "serve", f"--http=127.0.0.1:{free_port()}"]
        server = enter_server(stack, serve, LISTENS)
        url = f"{server.url}/api/collections/_superusers/auth-with-password"
        answer = _ask("POST", url, "", {"identity": MAIL, "password": PASSWORD})
        yield PocketBase(server, answer.json()["token"], data / "data.db")
