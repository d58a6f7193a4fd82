"""The environment variables that a child gets if it does not run the site's code."""

import os

# What Python, or a script that starts it, may need, and the place of temporary files. None of
# these holds a server's secrets.
KEPT = (
    "PATH", "HOME", "PYENV_ROOT", "PYENV_VERSION", "TMPDIR", "SQLITE_TMPDIR", "TZ", "TZDIR",
    "LANG", "LANGUAGE", "GLIBC_TUNABLES",
)  # fmt: skip
# The language, the loader of shared libraries (on Linux, on macOS), and the C library's memory.
KEPT_PREFIXES = ("LC_", "LD_", "DYLD_", "MALLOC_")


def without_secrets() -> dict[str, str]:
    """This process's variables that Python may need to start."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in KEPT or name.startswith(KEPT_PREFIXES)
    }
