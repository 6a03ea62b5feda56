"""Landlock: no file may be opened by name, no port connected or bound, no process outside signalled.

What is open already stays open. The kernel's ABI number says which of the three it knows:
https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import errno
import os

from serve_app.video.kernel import call

CREATE_RULESET, RESTRICT_SELF = 444, 446  # the same on every architecture
CREATE_RULESET_VERSION = 1

FILE_RIGHTS_V1 = (1 << 13) - 1
FILE_RIGHTS_SINCE = {2: 1 << 13, 3: 1 << 14, 5: 1 << 15}  # refer, truncate, ioctl on devices
TCP_RIGHTS, TCP_SINCE = 0b11, 4  # bind, connect
SCOPES, SCOPES_SINCE = 0b11, 6  # abstract UNIX sockets, signals


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


def version() -> int:
    """The kernel's Landlock ABI; ``OSError`` where there is none or it is switched off."""
    return call(CREATE_RULESET, None, 0, CREATE_RULESET_VERSION)


def restrict(abi: int) -> None:
    """Allow this thread, and what it starts, nothing of all that ``abi`` can forbid."""
    files = FILE_RIGHTS_V1 | sum(right for since, right in FILE_RIGHTS_SINCE.items() if abi >= since)
    ruleset = _Ruleset(files, TCP_RIGHTS * (abi >= TCP_SINCE), SCOPES * (abi >= SCOPES_SINCE))
    # An older kernel refuses a structure with more fields than it knows unless those are zero.
    fd = call(CREATE_RULESET, ctypes.byref(ruleset), ctypes.sizeof(ruleset), 0)
    try:
        call(RESTRICT_SELF, fd, 0)
    finally:
        os.close(fd)


def why_not(abi: int, since: int) -> str:
    """Why a kernel of this ABI lacks what came with a later one."""
    return f"Landlock ABI {abi}, needs {since} ({os.strerror(errno.ENOSYS)})"
