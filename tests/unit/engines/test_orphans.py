"""What an engine left behind is ended by the next one, and nothing else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil

from serve_app.engines.orphans import end_orphans

STARTS_A_CHILD = """
import subprocess, sys, time
from serve_app.engines.orphans import mark_children
mark_children()
child = subprocess.Popen([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"],
                         stdout=subprocess.PIPE, start_new_session=True)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""


def starter() -> tuple[subprocess.Popen[bytes], psutil.Process]:
    process = subprocess.Popen([sys.executable, "-c", STARTS_A_CHILD], stdout=subprocess.PIPE)
    assert process.stdout is not None
    child = psutil.Process(int(process.stdout.readline()))
    return process, child


def test_children_of_a_killed_replica_are_ended() -> None:
    """While it lives its children are let be, and so are those of others."""
    first, left = starter()
    second, kept = starter()
    try:
        assert not {left.pid, kept.pid} & set(end_orphans())
        os.kill(first.pid, signal.SIGKILL)
        first.communicate()
        assert left.is_running()
        assert left.pid in end_orphans()
        assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE
        assert kept.is_running()
    finally:
        for process in (left, kept):
            if process.is_running():
                process.kill()
        second.kill()
        second.communicate()
