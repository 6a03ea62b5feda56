"""What a sealed child can no longer change outside itself: other processes, and what files carry."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.probes import ALL, need, probe, said_of_itself

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the guards are Linux' own")
IMPORTS = "import fcntl, resource, signal"
# Of a process {pid}: each is allowed to whoever runs as the same user.
PROCESS = (
    "resource.prlimit({pid}, resource.RLIMIT_NOFILE)",
    "resource.prlimit({pid}, resource.RLIMIT_NOFILE, (200, 200))",
    "resource.prlimit({pid}, resource.RLIMIT_CPU, (1_000_000, 1_000_000))",
    "os.setpriority(os.PRIO_PROCESS, {pid}, 5)",
    "os.sched_setaffinity({pid}, os.sched_getaffinity(0))",
    "os.sched_setscheduler({pid}, os.SCHED_BATCH, os.sched_param(0))",
    "fcntl.fcntl(video, fcntl.F_SETOWN, {pid})",
    "fcntl.fcntl(video, fcntl.F_SETSIG, signal.SIGTERM)",
)
# Of a file {path} whose descriptor, for reading, is `video`.
FILE = (
    "os.utime({path!r}, (1, 1))",
    "os.utime(video, (1, 1))",
    "os.chmod({path!r}, 0o640)",
    "os.chmod(video, 0o640)",
    "os.chown({path!r}, os.getuid(), os.getgid())",
    "os.chown(video, os.getuid(), os.getgid())",
    "os.lchown({path!r}, os.getuid(), os.getgid())",
    "fcntl.flock(video, fcntl.LOCK_EX | fcntl.LOCK_NB)",
)
# Not every file system has these, nor is each descriptor a terminal.
SOME_FILES = (
    "os.setxattr({path!r}, 'user.x', b'1')",
    "os.setxattr(video, 'user.x', b'1')",
    "os.getxattr({path!r}, 'user.x')",
    "os.removexattr({path!r}, 'user.x')",
    "os.listxattr({path!r})",
    "fcntl.ioctl(video, 0x5412, b'x')",  # TIOCSTI types into a terminal
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of this user's."""
    path = tmp_path / "file"
    path.write_bytes(b"video")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    return path


@pytest.fixture
def bystander() -> Iterator[int]:
    """A process of this user's that waits."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.communicate(b"\n", timeout=30)


def tries(pid: int, path: Path, *lists: tuple[str, ...]) -> list[str]:
    """What is tried, of this process and this file."""
    return [one.format(pid=pid, path=str(path)) for some in lists for one in some]


def opened(path: Path) -> str:
    """The guards' first lines: the file is open already."""
    return f"{IMPORTS}\nvideo = os.open({str(path)!r}, os.O_RDONLY)"


def state(pid: int) -> tuple[object, ...]:
    """What others could change of a process."""
    kinds = (resource.RLIMIT_NOFILE, resource.RLIMIT_CPU)
    limits = tuple(resource.prlimit(pid, kind) for kind in kinds)
    priority = os.getpriority(os.PRIO_PROCESS, pid)
    return limits, priority, os.sched_getaffinity(pid), os.sched_getscheduler(pid)


def test_without_guards_others_are_changed(bystander: int, file: Path) -> None:
    """What the next test tries succeeds in a process that gave nothing up."""
    before = state(bystander), file.stat()
    tried = tries(bystander, file, PROCESS, FILE)
    assert probe(opened(file), *tried) == ["done"] * len(tried)
    assert state(bystander) != before[0]
    assert file.stat() != before[1]
    assert errno.EPERM not in probe(opened(file), *tries(bystander, file, SOME_FILES))


def test_a_sealed_child_changes_neither_its_parent_nor_a_file(file: Path) -> None:
    """Each attempt answers EPERM; the parent's limits, priority and scheduling stay, and so does the file."""
    need(said_of_itself(), "seccomp")
    before = state(os.getpid()), file.stat()
    tried = tries(os.getpid(), file, PROCESS, FILE, SOME_FILES)
    said = probe(f"{opened(file)}\n{ALL}", *tried)
    assert dict(zip(tried, said, strict=True)) == dict.fromkeys(tried, errno.EPERM)
    assert (state(os.getpid()), file.stat()) == before


def test_a_sealed_child_still_moves_its_own_limit(file: Path) -> None:
    """Its processor time is counted anew for each job, and its descriptors can be passed on."""
    need(said_of_itself(), "seccomp")
    own = (
        "containment.allow_processor(100); assert 100 <= resource.getrlimit(resource.RLIMIT_CPU)[0] < 120",
        "containment.allow_processor(200); assert 200 <= resource.getrlimit(resource.RLIMIT_CPU)[0] < 220",
        "resource.prlimit(0, resource.RLIMIT_NOFILE)",
        "os.set_inheritable(os.dup(video), True)",
        "assert fcntl.fcntl(video, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY",
    )
    assert probe(f"{opened(file)}\n{ALL}", *own) == ["done"] * len(own)
