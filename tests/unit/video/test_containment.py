"""What a decoding process can no longer do, tried out in processes that gave it up.

A guard that the kernel refuses is skipped with the kernel's own words; limits, the empty environment and
directory, dropped capabilities and ``no_new_privileges`` exist on every Linux and never are.
"""

from __future__ import annotations

import errno
import signal
import socket
import sys
from typing import TYPE_CHECKING, get_args

import pytest

from serve_app.settings.video import Guard
from serve_app.video.job import Contained
from tests.probes import ALL, LANDLOCK, NAMESPACE, need, probe, run, said_of_itself

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the guards are Linux' own")
EVERYWHERE: tuple[Guard, ...] = (
    "clean_environment",
    "empty_directory",
    "memory_limit",
    "file_limits",
    "process_limit",
    "no_capabilities",
    "no_new_privileges",
)

OPEN_SOCKET = "socket.socket()"
OPEN = "os.open('/etc/passwd', os.O_RDONLY)"
FILES = (
    OPEN,
    "os.listdir('/')",
    "os.execv('/bin/true', ['true'])",
    "os.mkdir('/tmp/capstream-x')",
)
THREAD = "threading.Thread(target=int).start()"
SIGNAL = "os.kill(parent, 0)"


def connect_to(listener: socket.socket) -> str:
    """What connects to it."""
    return f"socket.create_connection({listener.getsockname()}, 5)"


@pytest.fixture(scope="module")
def contained() -> Contained:
    """What a child says of itself on this machine."""
    return said_of_itself()


def need_one(contained: Contained, *guards: Guard) -> None:
    """Skip where the kernel has none of these."""
    if not set(guards) & set(contained.in_force):
        need(contained, *guards)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server on the loopback that notes who comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server


def visited(listener: socket.socket) -> bool:
    """Whether somebody connected; the kernel lists a connection before its maker learns of it."""
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def test_the_probe_sees_what_is_allowed(listener: socket.socket) -> None:
    """Without guards what the other tests try succeeds, so that none passes by accident."""
    fork = "os._exit(0) if os.fork() == 0 else os.wait()"
    tried = (OPEN, OPEN_SOCKET, THREAD, SIGNAL, fork, "os.listdir('/')", connect_to(listener))
    assert probe("", *tried) == ["done"] * len(tried)
    assert visited(listener)


def test_every_guard_is_accounted_for(contained: Contained) -> None:
    """A guard is in force or missing with a reason; what every Linux has is in force."""
    assert set(contained.in_force) | contained.missing.keys() == set(get_args(Guard))
    assert not set(contained.in_force) & contained.missing.keys()
    assert set(EVERYWHERE) <= set(contained.in_force)
    assert all(contained.missing.values())


def test_no_file_is_opened_made_or_run_by_name(contained: Contained) -> None:
    """Behind all guards together no name in the file system leads anywhere."""
    need_one(contained, "landlock_files", "seccomp")
    assert set(probe(ALL, *FILES)) <= {errno.EACCES, errno.EPERM}


def test_nothing_is_made_in_the_working_directory() -> None:
    """It is empty and has no name: even without Landlock and seccomp nothing can be put there."""
    guards = "from serve_app.video import containment; containment._enter_empty_directory()"
    assert probe(guards, "assert os.listdir() == []", "os.open('here', os.O_CREAT | os.O_WRONLY)") == [
        "done",
        errno.ENOENT,
    ]


def test_nobody_is_connected_to(contained: Contained, listener: socket.socket) -> None:
    """Behind all guards a listening server on the loopback sees no connection."""
    need_one(contained, "landlock_tcp", "seccomp", "network_namespace")
    (said,) = probe(ALL, connect_to(listener))
    assert said in (errno.EPERM, errno.EACCES, errno.ENETUNREACH)
    assert not visited(listener)


def test_landlock_alone_closes_the_file_system(contained: Contained) -> None:
    """Landlock answers for opening, listing and running, with no help of seccomp."""
    need(contained, "landlock_files")
    assert probe(LANDLOCK, *FILES) == [errno.EACCES] * len(FILES)


def test_landlock_alone_closes_tcp(contained: Contained, listener: socket.socket) -> None:
    """Landlock answers for TCP, with no help of the namespace."""
    need(contained, "landlock_tcp")
    assert probe(LANDLOCK, connect_to(listener)) == [errno.EACCES]
    assert not visited(listener)


def test_landlock_alone_protects_other_processes(contained: Contained) -> None:
    """The child cannot even ask whether its parent may be signalled."""
    need(contained, "landlock_signals")
    assert probe(LANDLOCK, SIGNAL) == [errno.EPERM]


def test_the_namespace_alone_is_empty(contained: Contained, listener: socket.socket) -> None:
    """Nothing can be reached from the child's own network, with no help of seccomp or Landlock."""
    need(contained, "network_namespace")
    assert probe(NAMESPACE, connect_to(listener)) == [errno.ENETUNREACH]
    assert not visited(listener)


def test_nothing_is_started(contained: Contained) -> None:
    """Neither a thread nor a process, however often it is tried."""
    need(contained, "seccomp")
    assert probe(ALL, THREAD, "while True: os.fork()") == ["RuntimeError", errno.EPERM]


def test_abort_still_works(contained: Contained) -> None:
    """A C library that aborts ends by SIGABRT, which the parent then names."""
    need(contained, "seccomp")
    assert run(ALL, "os.abort()").returncode == -signal.SIGABRT


def test_limits_hold() -> None:
    """Memory and descriptors end where they should, and a limit cannot be lifted again."""
    lift = "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))"
    said = probe(
        f"import mmap, resource\n{ALL}",
        "bytearray(512 << 20)",
        "mmap.mmap(-1, 512 << 20)",
        "bytearray(64 << 20)",
        lift,
        "[os.dup(0) for _ in range(100)]",
    )
    assert said == ["MemoryError", errno.ENOMEM, "done", "ValueError", errno.EMFILE]


def test_no_file_is_written(tmp_path: Path) -> None:
    """Not one byte goes to a file that is open already, and memory of frames is not made longer."""
    name = tmp_path / "file"
    guards = f"out = os.open({str(name)!r}, 65, 0o600); frames = os.memfd_create('frames')\n{ALL}"
    said = probe(guards, "os.write(out, b'x')", "os.write(frames, b'x')", "os.ftruncate(frames, 1 << 30)")
    assert said == [errno.EFBIG] * 3
    assert name.stat().st_size == 0
