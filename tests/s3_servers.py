"""
Real S3 servers on loopback, each with a folder of its own, started and stopped by a test.

``rclone`` is small and starts at once, but answers a Range with everything, and does not mind a
name that is taken. ``seaweedfs`` is strict, and has Object Lock.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_SECONDS = 60.0  # plenty: rclone takes 0.2, seaweedfs 1
BUCKET = "backups"
KEY, SECRET = "AKIAOFTHETESTS000000", "the-secret-of-the-tests-0123456789abcdef"
REGION = "us-east-1"


@dataclass
class S3Server:
    """One that answers."""

    endpoint: str
    process: "subprocess.Popen[bytes]"
    key: str = KEY
    secret: str = SECRET

    def options(self, prefix: str = "", **more: Any) -> dict[str, Any]:
        """For an ``ObstoreStorage``."""
        keys = {"access_key_id": self.key, "secret_access_key": self.secret, "region": REGION}
        url = f"s3://{BUCKET}/{prefix}".rstrip("/")
        return {"url": url, "endpoint": self.endpoint, "config": keys} | more

    @property
    def client(self) -> Any:
        """Another program's view of it."""
        import boto3  # here, since `make test` runs where it is not installed
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name=REGION,
            config=Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1}),
        )

    def names(self, bucket: str = BUCKET) -> list[str]:
        """Of every object."""
        found = self.client.list_objects_v2(Bucket=bucket).get("Contents", [])
        return [each["Key"] for each in found]

    def unfinished(self) -> list[str]:
        """The names of uploads in parts that were begun and neither ended nor given up."""
        found = self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return [each["Key"] for each in found]

    def kill(self) -> None:
        """``kill -9``: the machine is gone."""
        self.process.kill()
        self.process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it take connections, and answer none."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextmanager
def rclone(folder: Path) -> Iterator[S3Server]:
    """A small server. Each folder in its folder is a bucket."""
    (folder / BUCKET).mkdir(parents=True)
    with _ports(1) as [port]:
        address = f"127.0.0.1:{port}"
    command = [
        _program("rclone"),
        "serve",
        "s3",
        "--addr",
        address,
        "--auth-key",
        f"{KEY},{SECRET}",
    ]
    with _running([*command, str(folder)], folder, port) as server:
        yield server


@contextmanager
def seaweedfs(folder: Path) -> Iterator[S3Server]:
    """A strict server, with one bucket."""
    folder.mkdir(parents=True)
    rules = {"credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [{"name": "test", **rules}]}))
    names = ("s3", "s3.port.grpc", "master", "master.port.grpc", "volume", "filer")
    more = ("filer.port.grpc", "volume.port.grpc", "admin", "admin.port.grpc")
    with _ports(len(names + more)) as ports:
        listen = [
            f"-{name if '.' in name else f'{name}.port'}={port}"
            for name, port in zip(names + more, ports, strict=True)
        ]
    command = [
        *(_program("weed"), "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *(*listen, f"-s3.config={folder}/s3.json", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        *("-webdav=false", "-admin.ui=false", "-master.telemetry=false"),
    ]
    with _running(command, folder, ports[0]) as server:
        _until(server, lambda: server.client.create_bucket(Bucket=BUCKET))
        yield server


@contextmanager
def _running(command: list[str], folder: Path, port: int) -> Iterator[S3Server]:
    log = folder.with_suffix(".log")
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with log.open("wb") as stream:
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=stream, stderr=stream)
    server = S3Server(f"http://127.0.0.1:{port}", process)
    try:
        _until(server, lambda: socket.create_connection(("127.0.0.1", port)).close())
        yield server
    except AssertionError as error:
        error.add_note(log.read_text(errors="replace")[-2000:])
        raise
    finally:
        process.kill()
        process.wait()


def _until(server: S3Server, ask: Any) -> None:
    """Ask until there is an answer: nobody tells when a server of another is ready."""
    from botocore.exceptions import BotoCoreError, ClientError

    end = time.monotonic() + START_SECONDS
    while True:
        assert server.process.poll() is None, "the server has ended"
        try:
            ask()
        except (OSError, BotoCoreError, ClientError):
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.05)
        else:
            return


@contextmanager
def _ports(count: int) -> Iterator[list[int]]:
    """Free ports, each different, at least until the block ends."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        yield [each.getsockname()[1] for each in sockets]


def _program(name: str) -> str:
    path = Path(sys.executable).with_name(name)
    assert path.exists(), f"{name} is missing: install requirements-dev.txt"
    return str(path)
