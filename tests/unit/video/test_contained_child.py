"""Real children seen from outside, and what happens where the kernel has less."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from serve_app.settings import DecoderSettings
from serve_app.settings.video import EVERY_GUARD, Guard
from serve_app.video.sandbox import Sandbox
from tests.probes import ROOT, need, said_of_itself

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from serve_app.video.job import Contained

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the guards are Linux' own")
MIB = 1 << 20
LANDLOCKS: tuple[Guard, ...] = ("landlock_files", "landlock_tcp", "landlock_signals")


@pytest.fixture(scope="module")
def contained() -> Contained:
    """What a child says of itself on this machine."""
    return said_of_itself()


@pytest.fixture
async def sandbox(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    """A real child of a parent that has secrets."""
    monkeypatch.setenv("KAFKA_PASSWORD", "hush")
    box = Sandbox.of(DecoderSettings(max_frames_mib=1))
    await box.start()
    yield box
    await box.close()


@dataclass(frozen=True)
class Seen:
    """What the kernel says of a process."""

    status: dict[str, str]
    limits: dict[str, str]
    directory: str
    environment: bytes
    descriptors: int
    network: str

    @classmethod
    def of(cls, pid: int | str) -> Seen:
        proc = Path("/proc") / str(pid)
        return cls(
            status=dict(re.findall(r"(\w+):\s+(\S+)", (proc / "status").read_text())),
            limits=dict(re.findall(r"Max (.+?)  +(\w+)  ", (proc / "limits").read_text())),
            directory=str((proc / "cwd").readlink()),
            environment=(proc / "environ").read_bytes(),
            descriptors=len(list((proc / "fd").iterdir())),
            network=str((proc / "ns/net").readlink()),
        )


async def test_a_real_child_is_seen_contained(sandbox: Sandbox, contained: Contained) -> None:
    """From outside, the kernel confirms what the child said of itself."""
    assert sandbox.contained == contained
    seen = Seen.of(sandbox.pids()[0])
    assert [seen.status[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Amb")] == ["0" * 16] * 4
    assert (seen.status["NoNewPrivs"], seen.status["Threads"]) == ("1", "2")
    assert (seen.status["Seccomp"] == "2") is ("seccomp" in contained.in_force)
    assert [seen.limits[f"{what}"] for what in ("file size", "core file size", "processes")] == ["0"] * 3
    assert seen.limits["open files"] == "16"
    assert 2048 * MIB < int(seen.limits["address space"]) < 3072 * MIB
    assert re.search(r"/capstream-\w+ \(deleted\)$", seen.directory)
    assert b"PATH=" in seen.environment
    assert b"hush" not in seen.environment
    assert seen.descriptors == 4  # channel, nothing, log, frames
    elsewhere = seen.network != Seen.of("self").network
    assert elsewhere is ("network_namespace" in contained.in_force)


# A machine without Landlock, as many containers are: the call is refused with what such a kernel says.
# What a process may not call, neither may its children.
WITHOUT_LANDLOCK = """
import asyncio, errno, sys
from serve_app.errors import SettingsError
from serve_app.settings import DecoderSettings
from serve_app.video import kernel, landlock, seccomp
from serve_app.video.sandbox import Sandbox

missing = seccomp.when(landlock.CREATE_RULESET, seccomp.ERRNO | errno.EOPNOTSUPP)
lines = [(seccomp.LOAD, 0, 0, seccomp.NUMBER_AT), *missing, (seccomp.RETURN, 0, 0, seccomp.ALLOW)]
kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
seccomp.install(seccomp.platform.machine(), lines)

async def main(choice, *waived):
    box = Sandbox.of(DecoderSettings(containment=choice, containment_waived=waived, max_frames_mib=1))
    try:
        await box.start()
        print(*box.contained.missing)
    except SettingsError as error:
        print(error)
    await box.close()

asyncio.run(main(*sys.argv[1:]))
"""


def started(*arguments: str) -> str:
    """What a sandbox without Landlock says at its start."""
    command = [sys.executable, "-c", WITHOUT_LANDLOCK, *arguments]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return ran.stdout.strip()


def test_require_refuses_less(contained: Contained) -> None:
    """``require`` does not start without Landlock, and says what is missing and why; waived, it starts."""
    need(contained, "seccomp", *LANDLOCKS)
    refused = started("require")
    assert refused.startswith("decoder.containment: 'require' is refused; this machine lacks ")
    assert all(f"{guard} (Operation not supported)" in refused for guard in LANDLOCKS)
    others = EVERY_GUARD - set(contained.in_force)
    assert set(started("require", *LANDLOCKS, *others).split()) >= set(LANDLOCKS)


def test_prefer_starts_with_less(contained: Contained) -> None:
    """``prefer`` names what is missing and starts."""
    need(contained, "seccomp", *LANDLOCKS)
    assert set(started("prefer").split()) >= set(LANDLOCKS)
