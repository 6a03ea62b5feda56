"""The process that decodes: ``python -m serve_app.video.child``, started by a slot and by no one else.

Its stdin is a socket. A job comes as one JSON line that carries the video's open descriptor, an answer
goes back as one JSON line, frames leave through shared memory. It opens no file by name and knows neither
Ray nor Kafka. Its stdout leads nowhere, so nothing that FFmpeg prints can reach the answers. It ends when
its parent does.
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
from serve_app.video.job import READY, SHOT, Done, Failed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Jobs = queue.SimpleQueue[tuple[bytes, int]]

PR_SET_PDEATHSIG = 1
MAX_JOB_BYTES = 65_536


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, however the parent ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def receive(channel: socket.socket, jobs: Jobs) -> None:
    """Queue jobs as they come. When the parent closes the channel the process ends, mid-job or not."""
    while True:
        line, descriptors, _, _ = socket.recv_fds(channel, MAX_JOB_BYTES, 1)
        if not line.endswith(b"\n") or len(descriptors) != 1:
            os._exit(0)
        jobs.put((line, descriptors[0]))


def answer(line: bytes, video: int, memory: mmap.mmap) -> Done | Failed:
    """Do one job; a record's error is an answer, anything else ends the process."""
    asked = json.loads(line)

    def allocate(size: int) -> NDArray[np.uint8]:
        if size > len(memory):
            raise VideoRefusedError(f"the chosen frames take {size} bytes, {len(memory)} are allowed")
        return np.frombuffer(memory, np.uint8, size)

    try:
        done = decode(video, SHOT.validate_python(asked["shot"]), allocate)
    except RecordError as error:
        said = Failure.of(error)
        return Failed(
            job=asked["job"],
            family=said.family,
            stage=said.stage,
            error_class=said.error_class,
            message=said.message[:2000],
        )
    return Done(
        job=asked["job"],
        width=done.frames.width,
        height=done.frames.height,
        pts_seconds=done.frames.pts_seconds.tolist(),
        video=done.video,
        warnings=done.warnings,
        cpu_s=done.cpu_s,
        wall_s=done.wall_s,
    )


def main(arguments: list[str]) -> None:
    """Serve jobs for ever; ``arguments`` are the parent's pid, the memory's descriptor and its size."""
    parent, memory_fd, size = map(int, arguments)
    die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process
    jobs: Jobs = queue.SimpleQueue()
    with mmap.mmap(memory_fd, size) as memory, socket.socket(fileno=0) as channel:
        channel.sendall(READY)
        threading.Thread(target=receive, args=(channel, jobs), daemon=True, name="receive").start()
        while True:
            line, video = jobs.get()
            try:
                said = answer(line, video, memory)
            finally:
                os.close(video)
            channel.sendall(said.model_dump_json().encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])
