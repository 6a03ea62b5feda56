"""Files by name in one folder of this machine, shared by processes that know nothing of each other.

Nothing is locked. A file appears whole or not at all, by a rename; it is never changed afterwards; who has
it open may read on when it is deleted. What a process leaves behind when it is killed is a part that nobody
can find by a name, and the next sweep deletes it.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

PART = ".part"
PART_S = 3600.0  # no process takes so long to write one
PAGE = 4096


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    size: int
    used_s: float


class Shelf:
    """At most ``max_bytes``; the files that were put or used longest ago go first, all after ``keep_s``.

    The bound holds after each sweep, and each ``sweep_every``-th put sweeps. Times are in seconds since 1970.
    """

    def __init__(self, folder: Path, max_bytes: int, keep_s: float, sweep_every: int = 1) -> None:
        self._folder, self._max_bytes, self._keep_s = folder, max_bytes, keep_s
        self._sweep_every, self._puts = sweep_every, 0

    def open(self, name: str, now_s: float, *, used: bool) -> int | None:
        """A descriptor, or ``None``; ``used`` counts as a use. ``OSError`` where the folder is unreadable."""
        path = self._path(name)
        try:
            opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        state = os.fstat(opened)
        if not stat.S_ISREG(state.st_mode) or now_s - state.st_mtime > self._keep_s:
            os.close(opened)
            self.drop(name)
            return None
        if used:
            with contextlib.suppress(FileNotFoundError):
                os.utime(path, (now_s, now_s))
        return opened

    def read(self, name: str, now_s: float) -> bytes | None:
        """What a file holds, or ``None``; ``OSError`` as :meth:`open`."""
        opened = self.open(name, now_s, used=False)
        if opened is None:
            return None
        with os.fdopen(opened, "rb") as file:
            return file.read()

    def put(self, name: str, write: Callable[[BinaryIO], object], now_s: float) -> None:
        """Have ``write`` fill a file of this name; ``OSError`` where it cannot be, and nothing is left."""
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, part = tempfile.mkstemp(PART, "", path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                write(file)
            os.utime(part, (now_s, now_s))
            Path(part).replace(path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
        self._puts += 1
        if self._puts % self._sweep_every == 0:
            self.sweep(now_s)

    def drop(self, name: str) -> None:
        """Have no such file."""
        self._path(name).unlink(missing_ok=True)

    def sweep(self, now_s: float) -> None:
        """Delete what is too old, then what was used longest ago until the rest is within the bound."""
        kept: list[_File] = []
        for file in self._files():
            part = file.path.endswith(PART)
            if now_s - file.used_s > (PART_S if part else self._keep_s):
                Path(file.path).unlink(missing_ok=True)
            elif not part:
                kept.append(file)
        total = sum(file.size for file in kept)
        for file in sorted(kept, key=lambda one: one.used_s):
            if total <= self._max_bytes:
                return
            Path(file.path).unlink(missing_ok=True)
            total -= file.size

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name

    def _files(self) -> Iterator[_File]:
        for folder in _scanned(self._folder):
            for found in _scanned(folder.path) if folder.is_dir(follow_symlinks=False) else ():
                with contextlib.suppress(FileNotFoundError):  # another process sweeps as well
                    state = found.stat(follow_symlinks=False)
                    yield _File(found.path, -(-state.st_size // PAGE) * PAGE, state.st_mtime)


def _scanned(folder: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        return []
