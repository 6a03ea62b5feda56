"""Tries things in a process that has put up guards around itself as the decoding child does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from serve_app.video.job import Contained

if TYPE_CHECKING:
    from serve_app.settings.video import Guard

ROOT = Path(__file__).parents[1]
PROBE = """
import json, os, signal, socket, sys, threading
from serve_app.video import kernel, landlock, seccomp

parent = os.getppid()
guards, *tries = (compile(text, "probe", "exec") for text in sys.argv[1:])
exec(guards)
said = []
for tried in tries:
    try:
        exec(tried)
        said.append("done")
    except OSError as error:
        said.append(error.errno)
    except (MemoryError, RuntimeError, ValueError) as error:
        said.append(type(error).__name__)
print(json.dumps(said))
"""
# The child's own steps, after the child's own imports.
ALL = """
from serve_app.settings import LimitSettings
from serve_app.video import child, containment
missing = containment.enter(LimitSettings(memory_mib=256), 0) | containment.seal()
"""
LANDLOCK = "kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1); landlock.restrict(landlock.version())"
SECCOMP = "kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1); seccomp.restrict()"
NAMESPACE = "kernel.leave_network()"


def run(guards: str, *tries: str) -> subprocess.CompletedProcess[str]:
    """A process that puts up the guards and tries one thing after the other."""
    command = [sys.executable, "-c", PROBE, guards, *tries]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def probe(guards: str, *tries: str) -> list[object]:
    """What came of each try: ``done``, the errno, or the error's name."""
    ran = run(guards, *tries)
    assert ran.returncode == 0, ran.stderr
    said: list[object] = json.loads(ran.stdout.splitlines()[-1])
    return said


def said_of_itself() -> Contained:
    """What a child on this machine says that it is contained by."""
    ran = run(ALL, "print(containment.told(missing).model_dump_json())")
    assert ran.returncode == 0, ran.stderr
    return Contained.model_validate_json(ran.stdout.splitlines()[0])


def need(contained: Contained, *guards: Guard) -> None:
    """Skip where the kernel does not have these, with what it said."""
    if lacks := contained.lacks(frozenset(guards)):
        pytest.skip(f"this machine lacks {lacks}")
