"""The header ``Repr-Digest`` (RFC 9530): the SHA-256 of the whole, also where a part is sent."""

import base64


def repr_digest(sha256: str) -> str:
    """Its value, for 64 hex digits."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"
