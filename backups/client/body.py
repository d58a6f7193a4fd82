"""Read the body of an answer in pieces, so that no server can fill the memory."""

import json
from collections.abc import Iterator
from typing import Any

import requests

from backups.client.server_words import shown, shown_answer
from backups.exceptions import ClientError
from backups.unwrapping import Unwrapped

CHUNK_BYTES = 1024 * 1024  # 1 MiB
# For an answer in JSON: the history of 10,000 restores takes a third of that.
MOST_ANSWER_BYTES = 16 * 1024 * 1024
CODINGS = ("gzip", "x-gzip", "zstd")  # that can be decoded here


def coding_of(response: requests.Response) -> str:
    """What the body is compressed with; empty if it is not compressed."""
    coding = str(response.headers.get("Content-Encoding", "")).strip().lower()
    return "" if coding == "identity" else coding


def plain_chunks(response: requests.Response) -> Iterator[bytes]:
    """
    The body of an unread answer, decompressed, at most 1 MiB at a time.

    This does not use requests to decompress: an older urllib3 unpacks a whole piece at once, and
    as many nested codings as the server names.

    :raises ClientError: the coding is not one that was asked for.
    :raises InvalidSnapshotError: the body can't be unpacked, or is cut off.
    :raises urllib3.exceptions.HTTPError: the connection ended early; OSError too.
    """
    coding = coding_of(response)
    if coding and coding not in CODINGS:
        raise ClientError(
            f"{response.url} answered in a coding that was not asked for: {shown(coding, 100)}."
        )
    body: Iterator[bytes] = response.raw.stream(CHUNK_BYTES, decode_content=False)
    return iter(Unwrapped(body)) if coding else body


def read_answer(response: requests.Response) -> dict[str, Any]:
    """
    The JSON object in the body of an unread answer, with every text made safe to show. Empty if the
    body is something else, or longer than 16 MiB.

    :raises urllib3.exceptions.HTTPError: the connection ended early; OSError too.
    """
    body = bytearray()  # pieces can be single bytes: don't copy everything for each
    for chunk in plain_chunks(response):
        body += chunk
        if len(body) > MOST_ANSWER_BYTES:
            return {}
    try:
        answer = shown_answer(json.loads(body))
    except (ValueError, RecursionError):  # not JSON, or nested too deeply
        return {}
    return answer if isinstance(answer, dict) else {}
