"""Let system calls fail in a process, by a seccomp filter, as hardened services have it."""

import ctypes
import errno
import os
import platform
import struct
import sys

# Of x86-64 and of arm64, where this is tried.
NUMBERS = {
    "x86_64": {"setpriority": 141, "setrlimit": 160, "sched_getaffinity": 204, "prlimit64": 302},
    "aarch64": {"setpriority": 140, "setrlimit": 164, "sched_getaffinity": 123, "prlimit64": 261},
}
EVERYWHERE = {"landlock_create_ruleset": 444}
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
LOAD_NUMBER, RETURN, JUMP_IF_EQUAL = 0x20, 0x06, 0x15
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, FILTER = 38, 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def deny(*names: str, error: int = errno.EPERM) -> None:
    """
    From now on these calls fail with this error, in this process and all that it starts.

    Source: https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html
    """
    numbers = [(NUMBERS[platform.machine()] | EVERYWHERE)[name] for name in names]
    code = [
        (LOAD_NUMBER, 0, 0, 0),
        *((JUMP_IF_EQUAL, len(numbers) - at, 0, number) for at, number in enumerate(numbers)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, REFUSE | error),
    ]
    raw = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
    program = _Program(len(code), ctypes.addressof(raw))
    libc = ctypes.CDLL(None, use_errno=True)
    for words in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, FILTER, ctypes.byref(program), 0, 0),
    ):
        if libc.prctl(*words):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    deny(*sys.argv[1].split(","))
    os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
