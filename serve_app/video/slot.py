"""One child process and the memory it shares with its parent: started, asked, killed, replaced.

The child's stdin is one end of a socket pair. A job is a JSON line that carries the video's descriptor;
an answer is a JSON line; before it the child may ask for bytes that the video lacks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import mmap
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

import numpy as np

from serve_app.errors import DecoderDiedError, DecodeTimeoutError, Failure, SettingsError
from serve_app.settings import LimitSettings
from serve_app.video.frames import Frames
from serve_app.video.job import ANSWER, Contained, Decoded, Done, Failed, Greeting, Opened, Over, Want
from serve_app.video.memory import shared_memory
from serve_app.video.process import reaped, spawned
from serve_app.video.supply import Supplier

if TYPE_CHECKING:
    import subprocess

    from serve_app.settings.video import Guard, Second
    from serve_app.video.job import DecodeJob

log = logging.getLogger("ray.serve")

START_TIMEOUT_S = 120.0  # torch alone took 20 s from a cold disk
MAX_ANSWER_BYTES = 4 * 1024 * 1024
KEPT_BYTES = 64 * 1024 * 1024  # pages that stay between jobs: zeroing them anew costs more than they do
SPENT = frozenset(("DecodeMemoryError", "InternalError"))  # after these a child is not asked again


class Slot:
    """A place for one child. One caller at a time asks; ``start`` may run beside."""

    def __init__(
        self,
        max_frames_bytes: int,
        limits: LimitSettings,
        required: frozenset[Guard],
        fallback: Second = "none",
    ) -> None:
        self._size, self._limits, self._required = max_frames_bytes, limits, required
        self._fallback = fallback
        self.contained = Contained(in_force=(), missing={})
        self._memory_fd = shared_memory(max_frames_bytes)
        self._memory = mmap.mmap(self._memory_fd, max_frames_bytes)
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._turn = asyncio.Lock()
        self._doomed = self._closed = False
        self._jobs = 0
        self._used = 0

    @property
    def pid(self) -> int | None:
        """The child's process id; ``None`` while there is none that may be asked."""
        process = self._process
        return process.pid if process is not None and not self._doomed and process.poll() is None else None

    async def start(self) -> None:
        """Have a child that is ready.

        ``DecoderDiedError`` if it does not start, ``SettingsError`` if it lacks a guard that is required, or
        the fallback.
        """
        async with self._turn:
            await self._start()

    async def _start(self) -> None:
        if self.pid is not None:
            return
        # The old child must be gone before a new one gets the same memory.
        await self._end()
        if self._closed:
            raise DecoderDiedError("the sandbox is closed")
        self._doomed = False
        self._process, self._channel = spawned(
            self._memory_fd, self._size, self._limits.model_dump_json(), self._fallback
        )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                greeting = await self._line()
        except BaseException:
            self.kill()
            raise
        if not greeting:
            raise DecoderDiedError(f"the decoder process did not start: {await self._end()}")
        said = Greeting.model_validate_json(greeting)
        self.contained = said.contained
        if said.unfit:
            self.kill()
            raise SettingsError(f"decoder.fallback: '{self._fallback}' is refused; {said.unfit}")
        if lacks := self.contained.lacks(self._required):
            self.kill()
            raise SettingsError(f"decoder.containment: 'require' is refused; this machine lacks {lacks}")

    async def ask(self, video: int, job: DecodeJob, timeout_s: float) -> Decoded | Opened | Over:
        """Have the job's open file ``video`` decoded; the frames stay readable until :meth:`forget`.

        Raises the child's own error, that of its supply, ``DecoderDiedError`` and ``DecodeTimeoutError``.
        """
        supplier = None if job.supply is None else Supplier(job.supply, os.fstat(video).st_size)
        try:
            async with self._turn:
                await self._start()
                async with asyncio.timeout(timeout_s) as clock:
                    answer = self._read(await self._exchange(video, job))
                    while isinstance(answer, Want):
                        answer = self._read(await self._supplied(answer, supplier, clock))
        except TimeoutError as error:
            self.kill()
            raise DecodeTimeoutError(f"the decoder took longer than {timeout_s:g} s") from error
        except ValueError as error:
            self.kill()
            raise DecoderDiedError("the decoder process gave an answer that makes no sense") from error
        except BaseException:
            # The answer is still to come: it must not be taken for the next job's.
            self.kill()
            raise
        if supplier is not None and supplier.failed is not None:
            raise supplier.failed
        if isinstance(answer, Failed):
            if answer.bug:
                log.error("a bug in the decoding process: %r", answer.bug)
            if answer.error_class in SPENT:
                self.kill()
            raise Failure(answer.family, answer.stage, answer.error_class, answer.message).raised()
        return answer

    async def _exchange(self, video: int, job: DecodeJob) -> bytes:
        self._jobs += 1
        asked, line = job.line(self._jobs), b""
        # A line this short goes into an empty socket whole or not at all.
        with contextlib.suppress(OSError):
            if self._channel is not None and socket.send_fds(self._channel, [asked], [video]) == len(asked):
                line = await self._line()
        if not line:
            raise await self._death()
        return line

    async def _supplied(self, want: Want, supplier: Supplier | None, clock: asyncio.Timeout) -> bytes:
        if supplier is None or self._channel is None:
            raise ValueError("bytes are asked for although the whole file is there")
        line = b""
        said = await supplier.reply(want, clock)
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().sock_sendall(self._channel, said)
            line = await self._line()
        if not line:
            raise await self._death()
        return line

    async def _death(self) -> DecoderDiedError | DecodeTimeoutError:
        """What to make of a child that hung up before it answered."""
        ours = self._doomed
        how = await self._end()
        if signal.SIGXCPU.name in how:
            limit = f"{self._limits.processor_s:g} s of processor time (decoder.limits.processor_s)"
            return DecodeTimeoutError(f"the decoder took more than {limit}")
        if signal.SIGKILL.name in how and not ours:
            how += ", not by its parent: mostly because the machine or the container is out of memory"
        return DecoderDiedError(f"the decoder process died: {how}")

    async def _line(self) -> bytes:
        """The next line, or nothing if the child is gone; ``ValueError`` if it is far too long."""
        line = bytearray()
        while self._channel is not None and not line.endswith(b"\n"):
            piece = await asyncio.get_running_loop().sock_recv(self._channel, 65_536)
            line += piece
            if not piece:
                return b""
            if len(line) > MAX_ANSWER_BYTES:
                raise ValueError(f"an answer above {MAX_ANSWER_BYTES} bytes")
        return bytes(line)

    def _read(self, line: bytes) -> Decoded | Opened | Over | Failed | Want:
        answer = ANSWER.validate_json(line)
        if answer.job != self._jobs:
            raise ValueError(f"an answer to job {answer.job} instead of {self._jobs}")
        return self._decoded(answer) if isinstance(answer, Done) else answer

    def _decoded(self, done: Done) -> Decoded:
        shape = (len(done.pts_seconds), done.height, done.width, 3)
        size = shape[0] * shape[1] * shape[2] * shape[3]
        if size > self._size:
            raise ValueError(f"{size} bytes of frames in {self._size} bytes of memory")
        self._used = size
        pixels = np.frombuffer(memoryview(self._memory).toreadonly(), np.uint8, size).reshape(shape)
        frames = Frames(pixels, np.array(done.pts_seconds, np.float64))
        return Decoded(frames, done.video, done.coverage, done.warnings, done.cpu_s, done.wall_s)

    def forget(self) -> None:
        """Let the memory be reused; much of it goes back to the system."""
        if self._used > KEPT_BYTES and not self._closed and sys.platform == "linux":
            self._memory.madvise(mmap.MADV_REMOVE)
        self._used = 0

    def kill(self) -> None:
        """End the child at once, if there is one. Whoever waits for its answer learns of it."""
        self._doomed, self._used = True, self._size
        if self._channel is not None:
            with contextlib.suppress(OSError):
                self._channel.shutdown(socket.SHUT_RDWR)
        if self._process is not None:
            self._process.kill()

    async def _end(self) -> str:
        """Wait until the child is gone and say how it ended."""
        process, channel = self._process, self._channel
        if process is None or channel is None:
            return "there is none"
        how = await asyncio.to_thread(reaped, process)
        channel.close()
        self._process = self._channel = None
        return how

    async def close(self) -> None:
        """End the child for good and give the memory back once nobody looks at it."""
        self._closed = True
        self.kill()
        async with self._turn:
            self.kill()
            await self._end()
        os.close(self._memory_fd)
        # Frames that are still looked at keep the mapping until they are dropped.
        with contextlib.suppress(BufferError):
            self._memory.close()
        del self._memory
