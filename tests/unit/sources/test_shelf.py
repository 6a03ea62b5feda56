"""Files by name that several processes share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from serve_app.sources.shelf import PAGE, PART, PART_S, Shelf

NAMES = [f"{number:02d}name" for number in range(10)]
ROOT = Path(__file__).parents[3]


def of(size: int) -> Callable[[BinaryIO], object]:
    return lambda file: file.write(b"x" * size)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    """Whole pages are counted; reading counts as a use only where it is said to."""
    shelf = Shelf(tmp_path, 3 * PAGE, keep_s=100)
    for at, name in enumerate(NAMES[:3]):
        shelf.put(name, of(PAGE - 1), at)
    opened = shelf.open(NAMES[0], 10, used=True)
    assert opened is not None
    os.close(opened)
    assert shelf.read(NAMES[1], 11) == b"x" * (PAGE - 1)
    shelf.put(NAMES[3], of(1), 12)
    assert names(tmp_path) == {NAMES[0], NAMES[2], NAMES[3]}
    shelf.put(NAMES[4], of(3 * PAGE), 13)
    assert names(tmp_path) == {NAMES[4]}


def test_what_is_too_old_is_not_given(tmp_path: Path) -> None:
    """It is deleted when it is asked for, or by the next sweep."""
    shelf = Shelf(tmp_path, 1 << 20, keep_s=100)
    for name in NAMES[:2]:
        shelf.put(name, of(5), 0)
    assert shelf.read(NAMES[0], 100) == b"xxxxx"
    assert shelf.read(NAMES[0], 101) is None
    assert names(tmp_path) == {NAMES[1]}
    shelf.put(NAMES[2], of(5), 101)
    assert names(tmp_path) == {NAMES[2]}


def test_a_reader_keeps_what_is_deleted(tmp_path: Path) -> None:
    """Eviction in one process takes nothing out of another's hands."""
    mine, other = Shelf(tmp_path, PAGE, 100), Shelf(tmp_path, PAGE, 100)
    mine.put(NAMES[0], of(5), 0)
    opened = mine.open(NAMES[0], 1, used=True)
    assert opened is not None
    other.put(NAMES[1], of(5), 2)
    assert names(tmp_path) == {NAMES[1]}
    with os.fdopen(opened, "rb") as file:
        assert file.read() == b"xxxxx"


def test_a_file_that_cannot_be_written_whole_is_not_there(tmp_path: Path) -> None:
    """The error comes out and the folder is as before."""
    shelf = Shelf(tmp_path, 1 << 20, 100)

    def full(file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        shelf.put(NAMES[0], full, 0)
    assert names(tmp_path) == set()
    assert shelf.read(NAMES[0], 0) is None


KILLED = """
import os, signal, sys
from pathlib import Path
from serve_app.sources.shelf import Shelf

def write(file):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

Shelf(Path(sys.argv[1]), 1 << 20, 100).put("00name", write, 0)
"""


def test_a_process_that_is_killed_leaves_nothing_that_is_found(tmp_path: Path) -> None:
    """Its part has no name that anybody asks for, and goes with a sweep an hour later."""
    ran = subprocess.run([sys.executable, "-c", KILLED, tmp_path], cwd=ROOT, check=False, timeout=60)
    assert ran.returncode == -signal.SIGKILL
    (part,) = names(tmp_path)
    assert part.endswith(PART)
    shelf, now = Shelf(tmp_path, 1 << 20, 100), next(tmp_path.rglob("*.part")).stat().st_mtime
    assert shelf.read(NAMES[0], now) is None
    shelf.put(NAMES[0], of(4), now)
    assert shelf.read(NAMES[0], now) == b"xxxx"
    shelf.sweep(now + PART_S + 1)
    assert names(tmp_path) == set()


CROWD = """
import sys
from pathlib import Path
from serve_app.sources.shelf import PAGE, Shelf

shelf, wrong = Shelf(Path(sys.argv[1]), 4 * PAGE, 1e9), 0
for turn in range(300):
    name = f"{turn % 8:02d}"
    shelf.put(name, lambda file: [file.write(name.encode() * 512) for _ in range(4)], turn)
    for other in range(8):
        found = shelf.read(f"{other:02d}", turn)
        wrong += found is not None and found != f"{other:02d}".encode() * 2048
print(wrong)
"""


def test_processes_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Four write, read and evict the same names: each file is whole or absent, and the bound holds."""
    crowd = [
        subprocess.Popen([sys.executable, "-c", CROWD, tmp_path], cwd=ROOT, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    said = [process.communicate(timeout=120)[0] for process in crowd]
    assert [process.returncode for process in crowd] == [0] * 4
    assert said == [b"0\n"] * 4
    shelf = Shelf(tmp_path, 4 * PAGE, 1e9)
    shelf.put("09", of(1), 1000)
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert 1 <= len(found) <= 4
    assert not any(path.name.endswith(PART) for path in found)
