"""One child process and the memory it shares with its parent: started, asked, killed, replaced."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import mmap
import os
import signal
import socket
import sys
import tempfile
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from serve_app.errors import DecoderDiedError, DecodeTimeoutError, Failure
from serve_app.video.frames import Frames
from serve_app.video.job import ANSWER, SHOT, Decoded, Done, Failed, Shot

if TYPE_CHECKING:
    from asyncio.subprocess import Process

START_TIMEOUT_S = 60.0
MAX_ANSWER_BYTES = 4 * 1024 * 1024
KEPT_BYTES = 64 * 1024 * 1024  # pages that stay between jobs: zeroing them anew costs more than they do
PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


def shared_memory(size: int) -> int:
    """A descriptor of ``size`` bytes that have no name; pages are taken when they are written."""
    if sys.platform == "linux":
        fd = os.memfd_create("capstream-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, size)
        # A child that could shrink the memory could kill its parent by a bus error.
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        return fd
    with tempfile.TemporaryFile() as file:
        os.ftruncate(file.fileno(), size)
        return os.dup(file.fileno())


class Slot:
    """A place for one child. One caller at a time asks; ``start`` may run beside."""

    def __init__(self, max_frames_bytes: int) -> None:
        self._size = max_frames_bytes
        self._memory_fd = shared_memory(max_frames_bytes)
        self._memory = mmap.mmap(self._memory_fd, max_frames_bytes)
        self._process: Process | None = None
        self._channel: socket.socket | None = None
        self._starting = asyncio.Lock()
        self._jobs = 0
        self._used = 0
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The child's process id; ``None`` while there is none that may be asked."""
        process = self._process
        return process.pid if process is not None and process.returncode is None and self._channel else None

    async def start(self) -> None:
        """Have a child that is ready; ``DecoderDiedError`` if it does not start."""
        async with self._starting:
            if self.pid is not None:
                return
            self.kill()
            if self._process is not None:
                # The old child must be gone before a new one gets the same memory.
                await self._process.wait()
            if self._closed:
                raise DecoderDiedError("the sandbox is closed")
            process = self._process = await self._spawn()
            try:
                async with asyncio.timeout(START_TIMEOUT_S):
                    greeting = await _output(process).readline()
            except BaseException:
                self.kill()
                raise
            if greeting != b"ready\n":
                self.kill()
                raise DecoderDiedError(f"the decoder process did not start: {await _ending(process)}")

    async def _spawn(self) -> Process:
        ours, theirs = socket.socketpair()
        self._channel = ours
        # Secrets of the parent's environment are no business of a process that reads hostile files.
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        arguments = [os.getpid(), theirs.fileno(), self._memory_fd, self._size]
        with theirs:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "serve_app.video.child", *map(str, arguments)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                pass_fds=(theirs.fileno(), self._memory_fd),
                env=environment,
                limit=MAX_ANSWER_BYTES,
            )

    async def ask(self, video: int, shot: Shot, timeout_s: float) -> Decoded:
        """Have the open file ``video`` decoded; the frames stay readable until :meth:`forget`.

        Raises the child's own error, ``DecoderDiedError`` and ``DecodeTimeoutError``.
        """
        await self.start()
        self._jobs += 1
        try:
            async with asyncio.timeout(timeout_s):
                line = await self._exchange(video, shot)
            answer = ANSWER.validate_json(line)
            if answer.job != self._jobs:
                raise ValueError("an answer to another job")
            if isinstance(answer, Done):
                return self._decoded(answer)
        except TimeoutError as error:
            self.kill()
            raise DecodeTimeoutError(f"the decoder took longer than {timeout_s:g} s") from error
        except (ValidationError, ValueError) as error:
            self.kill()
            raise DecoderDiedError("the decoder process gave an answer that makes no sense") from error
        except BaseException:
            self.kill()
            raise
        raise Failure(answer.family, answer.stage, answer.error_class, answer.message).raised()

    async def _exchange(self, video: int, shot: Shot) -> bytes:
        process, channel = self._process, self._channel
        if process is None or process.stdin is None or channel is None:
            raise DecoderDiedError("the decoder process is gone")
        asked = {"job": self._jobs, "shot": SHOT.dump_python(shot, mode="json")}
        line = b""
        with contextlib.suppress(OSError):
            socket.send_fds(channel, [b"v"], [video])
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            await process.stdin.drain()
            line = await _output(process).readline()
        if not line.endswith(b"\n"):
            self.kill()
            raise DecoderDiedError(f"the decoder process died: {await _ending(process)}")
        return line

    def _decoded(self, done: Done) -> Decoded:
        shape = (len(done.pts_seconds), done.height, done.width, 3)
        self._used = shape[0] * shape[1] * shape[2] * shape[3]
        if self._used > self._size:
            raise ValueError(f"{self._used} bytes of frames in {self._size} bytes of memory")
        pixels = np.frombuffer(memoryview(self._memory).toreadonly(), np.uint8, self._used).reshape(shape)
        frames = Frames(pixels, np.array(done.pts_seconds, np.float64))
        return Decoded(frames, done.video, done.warnings, done.cpu_s, done.wall_s)

    def forget(self) -> None:
        """Let the memory be reused; much of it goes back to the system."""
        if self._used > KEPT_BYTES and hasattr(mmap, "MADV_REMOVE"):
            self._memory.madvise(mmap.MADV_REMOVE)
        self._used = 0

    def kill(self) -> None:
        """End the child at once, if there is one."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
            self._used = self._size
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def close(self) -> None:
        """End the child for good and give the memory back once nobody looks at it."""
        self._closed = True
        self.kill()
        async with self._starting:
            self.kill()
            if self._process is not None:
                await self._process.wait()
        os.close(self._memory_fd)
        # Frames that are still looked at keep the mapping until they are dropped.
        with contextlib.suppress(BufferError):
            self._memory.close()


def _output(process: Process) -> asyncio.StreamReader:
    if process.stdout is None:
        raise DecoderDiedError("the decoder process has no output")
    return process.stdout


async def _ending(process: Process) -> str:
    code = await process.wait()
    return f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"
