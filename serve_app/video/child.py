"""The process that decodes: ``python -m serve_app.video.child``, started by the sandbox and by no one else.

It reads jobs as JSON lines from stdin and answers in JSON lines on what was its stdout; videos arrive as
open descriptors over a socket, frames leave through shared memory. It opens no file by name. It knows
neither Ray nor Kafka, and its answers are data, never code. It ends when its parent does.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import queue
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING

import numpy as np

from serve_app.errors import Failure, RecordError, VideoRefusedError
from serve_app.video.decoder import decode
from serve_app.video.job import SHOT, Done, Failed

if TYPE_CHECKING:
    from numpy.typing import NDArray

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, however the parent ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def lines_of_stdin() -> queue.SimpleQueue[bytes]:
    """Lines as they come. The end of stdin means that the parent is gone: the process ends at once."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True, name="stdin").start()
    return lines


def answer(job: int, video: int, shot_json: object, memory: mmap.mmap) -> Done | Failed:
    """Do one job; a record's error is an answer, anything else ends the process."""

    def allocate(size: int) -> NDArray[np.uint8]:
        if size > len(memory):
            raise VideoRefusedError(f"the chosen frames take {size} bytes, {len(memory)} are allowed")
        return np.frombuffer(memory, np.uint8, size)

    try:
        done = decode(video, SHOT.validate_python(shot_json), allocate)
    except RecordError as error:
        said = Failure.of(error)
        return Failed(
            job=job,
            family=said.family,
            stage=said.stage,
            error_class=said.error_class,
            message=said.message[:2000],
        )
    return Done(
        job=job,
        width=done.frames.width,
        height=done.frames.height,
        pts_seconds=done.frames.pts_seconds.tolist(),
        video=done.video,
        warnings=done.warnings,
        cpu_s=done.cpu_s,
        wall_s=done.wall_s,
    )


def main(arguments: list[str]) -> None:
    """Serve jobs for ever; ``arguments`` are parent pid, socket, memory descriptor and its size."""
    parent, channel_fd, memory_fd, size = map(int, arguments)
    die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process
    # Whatever FFmpeg or a library prints must not reach the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    lines = lines_of_stdin()
    with mmap.mmap(memory_fd, size) as memory, socket.socket(fileno=channel_fd) as channel:
        answers.write(b"ready\n")
        answers.flush()
        while True:
            asked = json.loads(lines.get())
            _, (video,), _, _ = socket.recv_fds(channel, 1, 1)
            try:
                said = answer(asked["job"], video, asked["shot"], memory)
            finally:
                os.close(video)
            answers.write(said.model_dump_json().encode() + b"\n")
            answers.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
