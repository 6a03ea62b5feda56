"""The process that decodes: ``python -m serve_app.video.child``, started by a slot and by no one else.

Its stdin is a socket. A job comes as one JSON line that carries the video's open descriptor, an answer
goes back as one JSON line, frames leave through shared memory. Of a video that is only partly here it asks
for what it lacks, on the same channel, and waits for a line that says whether the bytes are there now. It
opens no file by name and knows neither Ray nor Kafka. Its stdout leads nowhere, so nothing that FFmpeg prints
can reach the answers. Before its first line it loads all that it may need, then gives up all rights that the
platform lets it give up. It ends when its parent does.
"""

from __future__ import annotations

import json
import mmap
import os
import queue
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, cast

import numpy as np

from serve_app.bugs import named
from serve_app.errors import (
    DecodeMemoryError,
    Failure,
    InternalError,
    RecordError,
    SourceUnavailableError,
    VideoRefusedError,
)
from serve_app.settings import LimitSettings
from serve_app.video import containment
from serve_app.video.decoder import decode
from serve_app.video.fallback import loaded
from serve_app.video.job import MAX_SAID, SHOT, Done, Failed, Greeting, Want
from serve_app.video.kernel import die_with
from serve_app.video.series import Series, decode_series

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from serve_app.settings.video import Second
    from serve_app.video.fallback import Decode
    from serve_app.video.partial import Fetch

    Jobs = queue.SimpleQueue[tuple[bytes, int]]
    Replies = queue.SimpleQueue[bytes]

MAX_JOB_BYTES = 65_536


def receive(channel: socket.socket, jobs: Jobs, replies: Replies) -> None:
    """Queue jobs, and replies to what they want, as they come.

    When the parent closes the channel the process ends, mid-job or not.
    """
    while True:
        line, descriptors, _, _ = socket.recv_fds(channel, MAX_JOB_BYTES, 1)
        if not line.endswith(b"\n") or len(descriptors) > 1:
            os._exit(0)
        if descriptors:
            jobs.put((line, descriptors[0]))
        else:
            replies.put(line)


class Desk:
    """Does one job after the other; ``memory`` takes the frames, ``want`` asks for bytes of a job's video."""

    def __init__(
        self, memory: mmap.mmap, limits: LimitSettings, want: Callable[[Want], bytes], decode: Decode
    ) -> None:
        self._memory, self._limits, self._want, self._decode = memory, limits, want, decode

    def answer(self, line: bytes, video: int) -> Done | Failed:
        """Do one job; a record's error is an answer, anything else ends the process."""
        asked = json.loads(line)
        containment.allow_processor(self._limits.processor_s)
        try:
            shot = SHOT.validate_python(asked["shot"])
            if asked["images"]:
                done = decode_series(Series(video, asked["images"]), shot, self._room, self._limits)
            else:
                fetch = self._fetch(asked["job"]) if asked["partial"] else None
                done = self._decode(video, shot, self._room, self._limits, fetch)
        except RecordError as error:
            return failed(asked["job"], error)
        except MemoryError:
            limit = f"{self._limits.memory_mib:g} MiB of memory are allowed (decoder.limits.memory_mib)"
            return failed(asked["job"], DecodeMemoryError(f"the video takes more to decode: {limit}"))
        return Done(
            job=asked["job"],
            width=done.frames.width,
            height=done.frames.height,
            pts_seconds=done.frames.pts_seconds.tolist(),
            video=done.video,
            coverage=done.coverage,
            warnings=done.warnings,
            cpu_s=done.cpu_s,
            wall_s=done.wall_s,
        )

    def _fetch(self, job: int) -> Fetch:
        def fetch(start: int, end: int) -> None:
            if not json.loads(self._want(Want(job=job, start=start, end=end)))["got"]:
                # The parent knows why, and says that instead of this.
                raise SourceUnavailableError("the rest of the video cannot be fetched")

        return fetch

    def _room(self, size: int) -> NDArray[np.uint8]:
        if size > len(self._memory):
            raise VideoRefusedError(f"the chosen frames take {size} bytes, {len(self._memory)} are allowed")
        return np.frombuffer(self._memory, np.uint8, size)


def failed(job: int, error: RecordError, bug: str = "") -> Failed:
    """An error as an answer; ``bug`` goes no further than the parent's log."""
    said = Failure.of(error)
    return Failed(
        job=job,
        family=said.family,
        stage=said.stage,
        error_class=said.error_class,
        message=said.message[:MAX_SAID],
        bug=bug[:MAX_SAID],
    )


def loaded_or_not(second: Second) -> tuple[Decode, str]:
    """What decodes, and why it is not all that was asked for, if so."""
    try:
        return loaded(second), ""
    except ImportError as error:
        return decode, str(error)[:MAX_SAID]


def main(arguments: list[str]) -> None:
    """Serve jobs for ever.

    ``arguments`` are the parent's pid, the memory's descriptor and its size, the limits as JSON, and the
    fallback's name.
    """
    parent, memory_fd, size = map(int, arguments[:3])
    limits = LimitSettings.model_validate_json(arguments[3])
    decodes, unfit = loaded_or_not(cast("Second", arguments[4]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process
    jobs: Jobs = queue.SimpleQueue()
    replies: Replies = queue.SimpleQueue()
    with mmap.mmap(memory_fd, size) as memory, socket.socket(fileno=0) as channel:
        os.close(memory_fd)
        missing = containment.enter(limits, size)
        # After the change of namespaces, at which the kernel may forget it.
        die_with(parent, signal.SIGKILL)
        listening = (channel, jobs, replies)
        threading.Thread(target=receive, args=listening, daemon=True, name="receive").start()
        contained = containment.told(missing | containment.seal())
        channel.sendall(Greeting(contained=contained, unfit=unfit).model_dump_json().encode() + b"\n")

        def want(asked: Want) -> bytes:
            channel.sendall(asked.model_dump_json().encode() + b"\n")
            return replies.get()

        serve(channel, jobs, Desk(memory, limits, want, decodes))


def serve(channel: socket.socket, jobs: Jobs, desk: Desk) -> None:
    """Answer jobs until the process ends; a bug is told to the parent, which has a log, and ends it."""
    while True:
        line, video = jobs.get()
        try:
            said = desk.answer(line, video)
        except Exception as bug:
            said = failed(json.loads(line)["job"], InternalError(named(bug)), f"{named(bug)}: {bug}")
            channel.sendall(said.model_dump_json().encode() + b"\n")
            raise
        finally:
            os.close(video)
        channel.sendall(said.model_dump_json().encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])
