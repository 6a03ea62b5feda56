"""What the decoding process takes away from itself before it looks at any video.

In two steps: :func:`enter` while there is one thread, since namespaces and Landlock hold for a thread and
those it starts; :func:`seal` when no more threads are needed. Whatever the platform refuses is left out
and named, with the platform's own words.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from serve_app.settings.video import Guard
from serve_app.video import kernel, landlock, seccomp
from serve_app.video.job import Contained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from serve_app.settings import LimitSettings

MIB = 1024 * 1024
MAX_DESCRIPTORS = 16
# This process's CPUCLOCK_PROF, which RLIMIT_CPU goes by: it counts ticks, and drifts from process_time().
TICKED = -8
ASSUMED_BYTES = 512 * MIB  # the address space of an idle child where the kernel does not tell it
PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
# One thread is all that a child may have: libraries must not start more at their import.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
Missing = dict[Guard, str]


def enter(limits: LimitSettings, max_frames_bytes: int) -> Missing:
    """Take away what can be taken while threads may still start; returns what the platform refused."""
    return (
        _tried(
            {
                "clean_environment": _clean_environment,
                "empty_directory": _enter_empty_directory,
                "network_namespace": lambda: _on_linux(kernel.leave_network),
                "no_capabilities": lambda: _on_linux(kernel.drop_capabilities),
                "no_new_privileges": lambda: _on_linux(lambda: kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)),
                "memory_limit": lambda: _limit_memory(limits.memory_mib, max_frames_bytes),
                "file_limits": _limit_files,
            }
        )
        | _landlocked()
    )


def seal() -> Missing:
    """Take away new threads, new processes and every call without a use here."""
    return _tried({"process_limit": _limit_processes, "seccomp": lambda: _on_linux(seccomp.restrict)})


def told(missing: Missing) -> Contained:
    """All that was tried, as the parent is told."""
    return Contained(
        in_force=tuple(guard for guard in get_args(Guard) if guard not in missing), missing=missing
    )


def allow_processor(seconds: float) -> None:
    """Give this process so many seconds of processor time from now; then the kernel ends it (SIGXCPU).

    The kernel takes whole seconds, which are rounded up here.
    """
    used = time.clock_gettime(TICKED) if sys.platform == "linux" else time.process_time()
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(used + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard < 0 else min(soft, hard), hard))


def _tried(guards: Mapping[Guard, Callable[[], None]]) -> Missing:
    missing: Missing = {}
    for guard, put_up in guards.items():
        try:
            put_up()
        except (OSError, ValueError) as error:
            missing[guard] = (getattr(error, "strerror", None) or str(error))[:200]
    return missing


def _on_linux(put_up: Callable[[], None]) -> None:
    if sys.platform != "linux":
        raise OSError(f"{sys.platform} has none")
    put_up()


def environment(parents: Mapping[str, str], path: Iterable[str]) -> dict[str, str]:
    """A child's environment: secrets of its parent's are no business of who reads hostile files."""
    passed_on = {name: parents[name] for name in PASSED_ON if name in parents}
    return passed_on | ONE_THREAD | {"PYTHONPATH": os.pathsep.join(filter(None, path))}


def _clean_environment() -> None:
    for name in os.environ.keys() - {*PASSED_ON, *ONE_THREAD, "PYTHONPATH", "LC_CTYPE"}:
        del os.environ[name]


def _enter_empty_directory() -> None:
    """Work where nothing is and, since the directory has no name any more, nothing can be made."""
    here = Path(tempfile.mkdtemp(prefix="capstream-"))
    try:
        os.chdir(here)
    finally:
        here.rmdir()


def _limit_memory(mib: float, max_frames_bytes: int) -> None:
    """Limit the address space to what is taken now and ``mib`` more."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[0])
        taken = pages * resource.getpagesize()
    except OSError:
        taken = ASSUMED_BYTES + max_frames_bytes
    _cap(resource.RLIMIT_AS, taken + int(mib * MIB))


def _limit_files() -> None:
    _cap(resource.RLIMIT_FSIZE, 0)
    _cap(resource.RLIMIT_CORE, 0)
    _cap(resource.RLIMIT_NOFILE, MAX_DESCRIPTORS)


def _limit_processes() -> None:
    _cap(resource.RLIMIT_NPROC, 0)


def _cap(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = most if hard < 0 else min(most, hard)
    resource.setrlimit(kind, (most, most))


def _landlocked() -> Missing:
    """Landlock's three guards are one call; an old kernel may know the first only."""
    since: dict[Guard, int] = {
        "landlock_files": 1,
        "landlock_tcp": landlock.TCP_SINCE,
        "landlock_signals": landlock.SCOPES_SINCE,
    }
    abi = 0

    def put_up() -> None:
        nonlocal abi
        known = landlock.version()
        landlock.restrict(known)
        abi = known

    refused = _tried({"landlock_files": lambda: _on_linux(put_up)})
    if refused:
        return dict.fromkeys(since, refused["landlock_files"])
    return {guard: landlock.why_not(abi, needed) for guard, needed in since.items() if abi < needed}
