"""Names that no two live processes have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from consumers.identity import claim

HOLD = """
import pathlib, sys
from consumers.identity import claim
slot = claim("g", pathlib.Path(sys.argv[1]))
print(slot.name, flush=True)
sys.stdin.read()
"""


def test_live_claims_differ_and_freed_names_come_again(tmp_path: Path) -> None:
    """A slot is taken by the next who comes, never by two."""
    first, second = claim("g", tmp_path), claim("g", tmp_path)
    assert first.name != second.name
    first.release()
    third = claim("g", tmp_path)
    assert third.name == first.name
    second.release()
    third.release()


def test_groups_and_folders_have_names_of_their_own(tmp_path: Path) -> None:
    """Two groups, and two containers with file systems of their own, share no name."""
    slots = [claim("g", tmp_path / "a"), claim("h", tmp_path / "a"), claim("g", tmp_path / "b")]
    assert len({slot.name for slot in slots}) == 3
    for slot in slots:
        slot.release()


def test_a_killed_process_leaves_its_name(tmp_path: Path) -> None:
    """Whoever comes after a kill -9 is known to the broker as the dead one's successor."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    name = holder.stdout.readline().strip()
    beside = claim("g", tmp_path)
    assert beside.name != name
    psutil.Process(holder.pid).kill()
    holder.communicate()
    after = claim("g", tmp_path)
    assert after.name == name
    beside.release()
    after.release()
