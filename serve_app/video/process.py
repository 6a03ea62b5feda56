"""The decoding process as its parent sees it: how it is started, and how it ended.

It is started on the event loop's own thread and reaped by hand: asyncio's subprocesses differ between loops
and can wait for ever on a child that was killed early.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

from serve_app.video.containment import environment

LAST_WORDS_S = 1.0


def spawned(memory_fd: int, *arguments: object) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A child that begins to start, and our end of the channel that is its stdin."""
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    said = map(str, (os.getpid(), memory_fd, *arguments))
    with theirs:
        process = subprocess.Popen(  # noqa: S603  our own interpreter, numbers and settings
            [sys.executable, "-m", "serve_app.video.child", *said],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            pass_fds=(memory_fd,),
            env=environment(os.environ, sys.path),
        )
    return process, ours


def reaped(process: subprocess.Popen[bytes]) -> str:
    """How a child ended that hung up; one that does not end soon after is killed."""
    try:
        code = process.wait(LAST_WORDS_S)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    return f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"
