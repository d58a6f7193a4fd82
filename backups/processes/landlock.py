"""
Landlock: a process of Linux gives up, for the rest of its life, what it does not need.

No library: those for Python are experiments so far, and a child of ours starts without the
site's packages. Where the kernel, a filter of system calls or Python (no ``ctypes``) does not
let us, nothing is given up, and the caller is told.

Not covered by it: UDP, sockets that have a path, and what is open already.

Source: https://docs.kernel.org/userspace-api/landlock.html
"""

import ctypes
import os
import struct
from collections.abc import Iterable
from contextlib import suppress

# System calls. Alpha has others by these numbers, every other architecture the same or none.
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION = 1  # a flag of the first one
_BENEATH = 1  # the kind of a rule: a path, and what is below it
_NO_NEW_PRIVILEGES = 38  # of prctl

_WRITE, _READ, _LIST, _CUT = 1 << 1, 1 << 2, 1 << 3, 1 << 14
_RIGHTS = (0, 13, 14, 15, 15, 16)  # how many rights on files each version knows, the last and later
_TCP_FROM, _TCP = 4, 0b11  # to bind and to connect
_SCOPES_FROM, _SCOPES = 6, 0b11  # abstract sockets and signals, to processes outside
_RULES = struct.Struct("=QQQ")  # what is given up of files, TCP and scopes
_EXCEPTION = struct.Struct("=Qi")  # the rights on what a descriptor names


def version() -> int:
    """Of the kernel's Landlock; 0 if there is none, or we may not use it."""
    if os.uname().machine == "alpha":
        return 0
    with suppress(OSError, AttributeError):
        return _call(_CREATE, None, 0, _VERSION)
    return 0


def give_up_privileges() -> None:
    """No program that this process starts can have more rights than it has itself."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def give_up_others() -> bool:
    """
    Use no TCP, and reach no process that was not started from here, by a signal or an abstract
    socket. As far as the kernel knows of these. Returns whether anything was given up.
    """
    known = version()
    network = _TCP if known >= _TCP_FROM else 0
    scopes = _SCOPES if known >= _SCOPES_FROM else 0
    return bool(network or scopes) and _restrict(_RULES.pack(0, network, scopes), [])


def give_up_files(*, writable: Iterable[str], readable: Iterable[str]) -> bool:
    """
    Open no file but these, start no program, and make, rename and remove nothing.

    :param writable: files that can be read and written.
    :param readable: files, and folders with all that is in them; what is missing is left out.
    :returns: whether it was given up.
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
        give_up_privileges()  # or only root may
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
    """
    One system call.

    :raises OSError: it fails.
    """
    system = ctypes.CDLL(None, use_errno=True)
    sized = [ctypes.c_size_t(word) if isinstance(word, int) else word for word in words]
    result = int(system.syscall(ctypes.c_long(number), *sized))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
