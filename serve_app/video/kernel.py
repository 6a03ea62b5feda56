"""The Linux calls by which a process gives up rights, for which Python has no functions.

Each raises ``OSError`` with the kernel's own words where it is refused or not known.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
CAPABILITIES_V3 = 0x20080522

LIBC = ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def call(number: int, *arguments: object) -> int:
    """A system call by its number; integers go as 64 bits."""
    wide = (ctypes.c_long(one) if isinstance(one, int) else one for one in arguments)
    return _checked(LIBC.syscall(ctypes.c_long(number), *wide))


def prctl(option: int, value: int) -> None:
    """Change something about this process."""
    zero = ctypes.c_ulong(0)
    _checked(LIBC.prctl(option, ctypes.c_ulong(value), zero, zero, zero))


def leave_network() -> None:
    """Move into a network namespace that has nothing in it.

    A user namespace of its own allows that without privileges; where it is refused, root may still do
    without. The process must have one thread.
    """
    try:
        _checked(LIBC.unshare(CLONE_NEWUSER | CLONE_NEWNET))
    except OSError as refused:
        try:
            _checked(LIBC.unshare(CLONE_NEWNET))
        except OSError:
            raise refused from None


def drop_capabilities() -> None:
    """Give up what root, or the owner of a user namespace, may do beyond others."""
    header = (ctypes.c_uint32 * 2)(CAPABILITIES_V3, 0)
    _checked(LIBC.capset(header, (ctypes.c_uint32 * 6)()))


def die_with(parent: int, signal_number: int) -> None:
    """Have the kernel end this process when its parent ends, however the parent ends (Linux)."""
    if sys.platform == "linux":
        prctl(PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent:
        os._exit(0)
