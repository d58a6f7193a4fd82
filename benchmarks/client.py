"""
A client in a separate process: ``python -m benchmarks.client URL KEY [--output FILE] …``.

It says "ready", waits for a line, and then downloads (or uploads) as fast as it can: what comes
is dropped, or written to a file. Prints one JSON object.
"""

import argparse
import contextlib
import http.client
import json
import mmap
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

BLOCK_BYTES = 1024 * 1024
BOUNDARY = "benchmark-0123456789abcdef"


def download(connection: http.client.HTTPConnection, options: argparse.Namespace) -> dict[str, Any]:
    """Fetch a URL. Seconds are from the request on; ``first`` is when the first byte came."""
    started = time.monotonic()
    headers = {options.header: options.key, "Accept-Encoding": options.encoding}
    connection.request("GET", _path(options.url), headers=headers)
    response = connection.getresponse()
    if response.status != http.client.OK:
        raise SystemExit(f"{response.status}: {response.read(500)!r}")
    block, size, first = memoryview(bytearray(BLOCK_BYTES)), 0, 0.0
    with contextlib.ExitStack() as stack:
        output = options.output and stack.enter_context(open(options.output, "wb", buffering=0))
        while count := response.readinto(block):
            first = first or time.monotonic() - started
            size += count
            if output:
                output.write(block[:count])
    length = response.headers.get("Content-Length")
    if length is not None and int(length) != size:
        raise SystemExit(f"{size} bytes of {length} came")
    return {
        "started": started,
        "seconds": time.monotonic() - started,
        "first": first,
        "bytes": size,
        "encoding": response.headers.get("Content-Encoding", ""),
    }


def upload(connection: http.client.HTTPConnection, options: argparse.Namespace) -> dict[str, Any]:
    """Send a file as the body, or in a form. Seconds are until the answer is there."""
    with open(options.upload, "rb") as source:
        size = source.seek(0, 2)
        body = mmap.mmap(source.fileno(), size, access=mmap.ACCESS_READ) if size else b""
        head = tail = b""
        content_type = "application/vnd.sqlite3"
        if options.form:
            content_type = f"multipart/form-data; boundary={BOUNDARY}"
            disposition = (
                f'Content-Disposition: form-data; name="file"; filename="{options.upload.name}"'
            )
            head = f"--{BOUNDARY}\r\n{disposition}\r\n\r\n".encode()
            tail = f"\r\n--{BOUNDARY}--\r\n".encode()
        started = time.monotonic()
        connection.putrequest("POST", _path(options.url))
        connection.putheader(options.header, options.key)
        connection.putheader("Content-Type", content_type)
        connection.putheader("Content-Length", str(len(head) + size + len(tail)))
        connection.endheaders(head or None)
        view = memoryview(body)
        for start in range(0, size, BLOCK_BYTES):
            connection.send(view[start : start + BLOCK_BYTES])
        if tail:
            connection.send(tail)
        response = connection.getresponse()
        answer = response.read()
        seconds = time.monotonic() - started
        view.release()
    if response.status not in (http.client.OK, http.client.NO_CONTENT):
        raise SystemExit(f"{response.status}: {answer[:500]!r}")
    return {"started": started, "seconds": seconds, "first": 0.0, "bytes": size, "encoding": ""}


def main() -> None:
    """Wait for the word, do it, print what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("key")
    parser.add_argument("--header", default="X-Api-Key", help="which header the key is in")
    parser.add_argument("--encoding", default="identity")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--upload", type=Path)
    parser.add_argument("--form", action="store_true")
    options = parser.parse_args()
    server = urlsplit(options.url)
    assert server.hostname is not None
    connection = http.client.HTTPConnection(server.hostname, server.port, timeout=600)
    print("ready", flush=True)
    sys.stdin.readline()
    took = upload(connection, options) if options.upload else download(connection, options)
    connection.close()
    print(json.dumps(took), flush=True)


def _path(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


if __name__ == "__main__":
    main()
