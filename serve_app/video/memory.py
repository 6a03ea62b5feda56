"""Memory that a parent shares with its child."""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile


def shared_memory(size: int) -> int:
    """A descriptor of ``size`` bytes that have no name; pages are taken when they are written."""
    if sys.platform == "linux":
        fd = os.memfd_create("capstream-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, size)
        # A child that could shrink the memory could kill its parent by a bus error.
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        return fd
    with tempfile.TemporaryFile() as file:
        os.ftruncate(file.fileno(), size)
        return os.dup(file.fileno())
