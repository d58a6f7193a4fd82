"""
Landlock: on Linux, a process gives up rights that it does not need, for the rest of its life.

We use no library: those for Python are experimental, and our children start without the site's
packages. If the kernel, a seccomp filter or Python (no ``ctypes``) does not allow it, nothing is
given up, and the return value says so.

Landlock does not cover UDP, sockets that have a path, and what is already open.

Source: https://docs.kernel.org/userspace-api/landlock.html
"""

import ctypes
import os
import struct
from collections.abc import Iterable
from contextlib import suppress

# System calls. On Alpha these numbers mean others; elsewhere they are the same or not in use.
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION = 1  # a flag of _CREATE
_BENEATH = 1  # the kind of a rule: a path, and what is below it
_NO_NEW_PRIVILEGES = 38  # an option of prctl(2)

_WRITE, _READ, _LIST, _CUT = 1 << 1, 1 << 2, 1 << 3, 1 << 14
_RIGHTS = (0, 13, 14, 15, 15, 16)  # how many file rights each version has; the last: and later ones
_TCP_FROM, _TCP = 4, 0b11  # to bind and to connect
_SCOPES_FROM, _SCOPES = 6, 0b11  # abstract sockets and signals, to processes outside
_RULES = struct.Struct("=QQQ")  # what is given up of files, TCP and scopes
_EXCEPTION = struct.Struct("=Qi")  # the rights on what a descriptor names


def version() -> int:
    """The version of the kernel's Landlock; 0 if there is none, or we may not use it."""
    if os.uname().machine == "alpha":
        return 0
    with suppress(OSError, AttributeError):
        return _call(_CREATE, None, 0, _VERSION)
    return 0


def give_up_privileges() -> None:
    """Let no program that this process starts have more rights than this process."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def give_up_others() -> bool:
    """
    Give up TCP, and signals and abstract sockets to processes that were not started from here, as
    far as the kernel supports it. Returns whether anything was given up.
    """
    known = version()
    network = _TCP if known >= _TCP_FROM else 0
    scopes = _SCOPES if known >= _SCOPES_FROM else 0
    return bool(network or scopes) and _restrict(_RULES.pack(0, network, scopes), [])


def give_up_files(*, writable: Iterable[str], readable: Iterable[str]) -> bool:
    """
    Open only these files, start no program, and create, rename or remove no file.

    :param writable: files that can be read and written.
    :param readable: files, and folders with their contents; missing ones are left out.
    :returns: whether these rights were given up.
    """
    every = (1 << _RIGHTS[min(version(), len(_RIGHTS) - 1)]) - 1
    if not every:
        return False
    rules = [(path, _READ | _WRITE | _CUT & every) for path in writable]
    for path in readable:
        if os.path.exists(path):
            rules.append((path, _READ | _LIST if os.path.isdir(path) else _READ))
    return _restrict(_RULES.pack(every, 0, 0), rules)


def _restrict(rules: bytes, exceptions: Iterable[tuple[str, int]]) -> bool:
    try:
        ruleset = _call(_CREATE, rules, len(rules), 0)
    except (OSError, AttributeError):
        return False
    try:
        for path, rights in exceptions:
            _let_through(ruleset, path, rights)
        give_up_privileges()  # without this, only root may restrict itself
        _call(_RESTRICT, ruleset, 0)
    except OSError:
        return False
    finally:
        os.close(ruleset)
    return True


def _let_through(ruleset: int, path: str, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        _call(_ADD, ruleset, _BENEATH, _EXCEPTION.pack(rights, descriptor), 0)
    finally:
        os.close(descriptor)


def _call(number: int, *words: object) -> int:
    """Make one system call; OSError if it fails."""
    system = ctypes.CDLL(None, use_errno=True)
    sized = [ctypes.c_size_t(word) if isinstance(word, int) else word for word in words]
    result = int(system.syscall(ctypes.c_long(number), *sized))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
