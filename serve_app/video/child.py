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
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from serve_app.bugs import named
from serve_app.errors import (
    DecodeMemoryError,
    Failure,
    InternalError,
    RecordError,
    SourceUnavailableError,
    VideoRefusedError,
    VideoUnreadableError,
)
from serve_app.settings import LimitSettings
from serve_app.video import containment
from serve_app.video.decoder import OpenVideo
from serve_app.video.fallback import loaded
from serve_app.video.held import Held
from serve_app.video.job import MAX_SAID, SHOT, Done, Failed, Greeting, Hold, Opened, Over, Want
from serve_app.video.kernel import die_with
from serve_app.video.series import OpenSeries

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from serve_app.settings.video import Second
    from serve_app.video.fallback import Opening
    from serve_app.video.held import Open
    from serve_app.video.job import Shot

    Answer = Done | Failed | Opened | Over
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
        self, memory: mmap.mmap, limits: LimitSettings, want: Callable[[Want], bytes], opening: Opening
    ) -> None:
        self._memory, self._limits, self._want, self._opening = memory, limits, want, opening
        self._held = Held()
        self._job, self._began = 0, (0.0, 0.0)

    def answer(self, line: bytes, video: int) -> Answer:
        """Do one job; a record's error is an answer, anything else ends the process."""
        asked = json.loads(line)
        self._job, self._began = asked["job"], (time.perf_counter(), time.process_time())
        containment.allow_processor(self._limits.processor_s)
        try:
            try:
                return self._done(asked, video)
            except MemoryError:
                if not self._held:
                    raise
            # What is held for other jobs must not be this one's misfortune.
            self._held.keep(0)
            return self._done(asked, video)
        except RecordError as error:
            return failed(asked["job"], error)
        except MemoryError:
            limit = f"{self._limits.memory_mib:g} MiB of memory are allowed (decoder.limits.memory_mib)"
            return failed(asked["job"], DecodeMemoryError(f"the video takes more to decode: {limit}"))

    def _done(self, asked: dict[str, Any], video: int) -> Done | Opened | Over:
        def opening(fd: int) -> Open:
            if asked["images"]:
                return OpenSeries(fd, asked["images"], self._limits)
            return self._opening(fd, self._limits, self._fetch if asked["partial"] else None)

        shot = SHOT.validate_python(asked["shot"])
        if asked["hold"] is None:
            with closing(opening(video)) as opened:
                return self._decoded(opened, shot)
        hold = Hold(**asked["hold"])
        if hold.over:
            self._held.end(hold.number)
            return Over(job=self._job)
        return self._of_held(self._held.get(hold.number, video, opening), shot, hold)

    def _of_held(self, opened: Open, shot: Shot, hold: Hold) -> Done | Opened:
        kept = False
        try:
            if hold.unless_below_s is not None:
                there, whole = opened.ranges(shot)
                if there.end_s - there.start_s >= hold.unless_below_s:
                    kept = True
                    return Opened(job=self._job, there=there, asked=whole)
            done = self._decoded(opened, shot)
            kept = hold.unless_below_s is None
        except VideoUnreadableError:
            # There is nothing whole in this window, and may be in the next.
            kept = hold.unless_below_s is None and not opened.lost
            raise
        finally:
            if not kept:
                self._held.end(hold.number)
        return done

    def _decoded(self, opened: Open, shot: Shot) -> Done:
        wall, cpu = self._began
        done = opened.take(shot, self._room)
        return Done(
            job=self._job,
            width=done.frames.width,
            height=done.frames.height,
            pts_seconds=done.frames.pts_seconds.tolist(),
            video=done.video,
            coverage=done.coverage,
            warnings=done.warnings,
            cpu_s=time.process_time() - cpu,
            wall_s=time.perf_counter() - wall,
        )

    def _fetch(self, start: int, end: int) -> None:
        if not json.loads(self._want(Want(job=self._job, start=start, end=end)))["got"]:
            # The parent knows why, and says that instead of this.
            raise SourceUnavailableError("the rest of the video cannot be fetched")

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


def loaded_or_not(second: Second) -> tuple[Opening, str]:
    """What decodes, and why it is not all that was asked for, if so."""
    try:
        return loaded(second), ""
    except ImportError as error:
        return OpenVideo, str(error)[:MAX_SAID]


def main(arguments: list[str]) -> None:
    """Serve jobs for ever.

    ``arguments`` are the parent's pid, the memory's descriptor and its size, the limits as JSON, and the
    fallback's name.
    """
    parent, memory_fd, size = map(int, arguments[:3])
    limits = LimitSettings.model_validate_json(arguments[3])
    opening, unfit = loaded_or_not(cast("Second", arguments[4]))
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

        serve(channel, jobs, Desk(memory, limits, want, opening))


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
