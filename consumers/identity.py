"""A name that no other live process has, and that a process started later on this machine takes over.

Names are slots: the first one whose lock file is free. The operating system frees the lock with the
process, however it ends. The name is made of the kernel's boot and the file's identity, so processes that
see different files, on two machines or in two containers, have different names whatever they are called.

Ranks of Serve replicas would not do: they move between live processes. An id made up anew by each process
would be safe as well, but then nobody ends the transaction that a dead one left open, and readers wait for
the broker to do it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import tempfile
import uuid
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Slot:
    """A name, ours as long as the file is open."""

    name: str
    lock: BinaryIO

    def release(self) -> None:
        """Let others have it."""
        self.lock.close()


def claim(group_id: str, folder: Path | None = None) -> Slot:
    """Take the first free slot of the group; lock files are in ``folder``, by default below /tmp."""
    place = folder or Path(tempfile.gettempdir()) / f"capstream-{os.getuid()}"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    stem = hashlib.sha256(group_id.encode()).hexdigest()[:16]
    for number in count():
        # Kept open on purpose: closing it gives the slot away.
        lock = (place / f"{stem}.{number}.lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        return Slot(f"{group_id}-{_identity(lock)}", lock)
    raise AssertionError("numbers do not end")


def _identity(lock: BinaryIO) -> str:
    status = os.fstat(lock.fileno())
    boot = BOOT_ID.read_text().strip() if BOOT_ID.exists() else f"{platform.node()}-{uuid.getnode()}"
    return hashlib.sha256(f"{boot}:{status.st_dev}:{status.st_ino}".encode()).hexdigest()[:16]
