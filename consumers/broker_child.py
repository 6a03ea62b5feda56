"""Supervises the Java processes of one broker node, so that none outlives its owner.

::

    owner ──stdin pipe──> supervisor (this file) ──parent-death signal──> Java
      └────── lock of the data directory, inherited by both ──────────────┘

A process killed with SIGKILL cleans nothing up, so every link is kept by the kernel:

* The owner dies: its end of the pipe closes, and the supervisor stops Java. A fork of the owner may
  hold a copy of that end, so the parent's id is looked at as well.
* The supervisor dies: Linux sends Java the signal asked for. That signal belongs to the thread that
  forked, which is why there is a single thread here and none of the owner's is used for it.
* Java dies: the supervisor exits with its code, and the owner sees stdout close.
* The lock is free only when both are gone, so the next owner never meets a dying broker's files.

Runs as a plain script on the standard library alone: ready in about 20 ms.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable

PR_SET_PDEATHSIG = 1
LOOK_AT_PARENT_S = 0.5


class Work(TypedDict):
    """What to run: commands one after another, each only when the one before returned 0."""

    owner_pid: int
    lock_fd: int
    grace_s: float
    commands: list[list[str]]


def main() -> int:
    """Run the commands of the JSON in the first argument; the exit code is the last one's."""
    work: Work = json.loads(sys.argv[1])
    wake = _wake_on_signals()
    for command in work["commands"]:
        code = _supervise(command, work, wake)
        if code != 0:
            return code
    return 0


def _wake_on_signals() -> int:
    """A file descriptor that becomes readable at each signal of interest."""
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    return readable


def _supervise(command: list[str], work: Work, wake: int) -> int:
    child = subprocess.Popen(  # noqa: S603 - the owner's own command line, no shell
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        stderr=sys.stderr,
        pass_fds=[work["lock_fd"]],
        preexec_fn=_die_with_parent(),  # noqa: PLW1509 - this process has a single thread
    )
    os.pwrite(work["lock_fd"], f"{os.getpid():>10} {child.pid:>10}\n".encode(), 0)
    kill_at: float | None = None
    while child.poll() is None:
        if kill_at is None:
            if _must_stop(work, wake):
                kill_at = time.monotonic() + work["grace_s"]
                child.terminate()
        elif time.monotonic() < kill_at:
            select.select([wake], [], [], max(0.0, kill_at - time.monotonic()))
        else:
            child.kill()
            child.wait()
    stopped = kill_at is not None
    code = child.returncode if child.returncode >= 0 else 128 - child.returncode
    return code or (128 + signal.SIGTERM if stopped else 0)


def _must_stop(work: Work, wake: int) -> bool:
    """Wait for the next event; true when the owner is gone or a signal asks to stop."""
    ready, _, _ = select.select([sys.stdin, wake], [], [], LOOK_AT_PARENT_S)
    signals = os.read(wake, 4096) if wake in ready else b""
    asked = any(number != signal.SIGCHLD for number in signals)
    return asked or sys.stdin in ready or os.getppid() != work["owner_pid"]


def _die_with_parent() -> Callable[[], None]:
    supervisor = os.getpid()
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def before_exec() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:
            os._exit(1)

    return before_exec


if __name__ == "__main__":
    sys.exit(main())
