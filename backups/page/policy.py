"""
The Content-Security-Policy of the pages: scripts and styles from files of this site, and no other.

Source: https://www.w3.org/TR/CSP3/
"""


def of(nonce: str) -> str:
    """The policy of one page. Only elements with its nonce run or style anything."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'nonce-{nonce}'",
            f"style-src 'nonce-{nonce}'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )
