"""What of this process's environment a child of ours gets that runs no code of the site."""

import os

# What a Python can need to start, or a script in front of it, and where its temporary files go.
# The secrets of a server are in none of these.
KEPT = (
    "PATH",
    "HOME",
    "PYENV_ROOT",
    "PYENV_VERSION",
    "TMPDIR",
    "SQLITE_TMPDIR",
    "TZ",
    "TZDIR",
    "LANG",
    "LANGUAGE",
    "GLIBC_TUNABLES",
)
# The language, the loader of shared libraries (on Linux, on macOS), and the C library's memory.
KEPT_PREFIXES = ("LC_", "LD_", "DYLD_", "MALLOC_")


def without_secrets() -> dict[str, str]:
    """The variables of this process that a Python may need to start."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in KEPT or name.startswith(KEPT_PREFIXES)
    }
