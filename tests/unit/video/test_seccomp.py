"""The filter: what it forbids, by the kernel's word and by reading it as the kernel does."""

from __future__ import annotations

import errno
import sys

import pytest

from serve_app.video import seccomp
from tests.probes import SECCOMP, probe, run

CALLS = (
    "os.open('/etc/passwd', os.O_RDONLY)",
    "socket.socket()",
    "os.execv('/bin/true', ['true'])",
    "os.fork()",
    "os.kill(parent, 0)",
    "os.memfd_create('more')",
    "kernel.prctl(kernel.PR_SET_PDEATHSIG, 0)",
    "kernel.leave_network()",
)
EVERY_CALL = """
column = 0 if seccomp.platform.machine() == "x86_64" else 1
allowed = []
for name, numbers in seccomp.FORBIDDEN.items():
    try:
        numbers[column] is None or allowed.append((name, kernel.call(numbers[column], *[-1] * 6)))
    except OSError as error:
        if error.errno != 1:
            allowed.append((name, str(error)))
assert not allowed, allowed
"""


@pytest.fixture(scope="module", autouse=True)
def _kernel_has_it() -> None:
    ran = run(SECCOMP, "pass")
    if ran.returncode:
        pytest.skip(f"this machine lacks seccomp: {ran.stderr.splitlines()[-1]}")


@pytest.mark.skipif(sys.platform != "linux", reason="seccomp is Linux' own")
def test_calls_are_refused() -> None:
    """The filter answers EPERM, with no help of the other guards."""
    assert probe(SECCOMP, *CALLS) == [errno.EPERM] * len(CALLS)


@pytest.mark.skipif(sys.platform != "linux", reason="seccomp is Linux' own")
def test_every_forbidden_call_is_refused_by_its_number() -> None:
    """The kernel refuses each line of the list."""
    assert probe(SECCOMP, EVERY_CALL) == ["done"]


def test_the_filter_is_whole_for_both_machines() -> None:
    """Each forbidden call, by its number there, is refused; all others are allowed; foreign programs end."""
    for machine, column in (("x86_64", 0), ("aarch64", 1)):
        lines = seccomp.program(machine, 42)
        numbers = {both[column] for both in seccomp.FORBIDDEN.values()} - {None}
        answers = {number: verdict(lines, number, seccomp.AUDIT_ARCH[machine]) for number in range(600)}
        refused = {number for number, answer in answers.items() if answer == seccomp.ERRNO | errno.EPERM}
        assert refused == numbers | {seccomp.TGKILL[machine]}
        assert answers[seccomp.CLONE3] == seccomp.ERRNO | errno.ENOSYS
        assert verdict(lines, seccomp.TGKILL[machine], seccomp.AUDIT_ARCH[machine], 42) == seccomp.ALLOW
        assert verdict(lines, 0, 0x40000003) == verdict(lines, seccomp.X32_BIT, seccomp.AUDIT_ARCH[machine])
        assert verdict(lines, 0, 0x40000003) == seccomp.KILL
        assert sum(answer == seccomp.ALLOW for answer in answers.values()) == 600 - len(refused) - 1


def verdict(lines: list[seccomp.Instruction], number: int, arch: int, argument: int = 7) -> int:
    """What a filter answers: the few instructions that it is made of, as the kernel reads them."""
    data = {seccomp.NUMBER_AT: number, seccomp.ARCH_AT: arch, seccomp.FIRST_ARGUMENT_AT: argument}
    loaded = at = 0
    while True:
        code, true, false, value = lines[at]
        if code == seccomp.RETURN:
            return value
        if code == seccomp.LOAD:
            loaded, jump = data[value], 0
        else:
            jump = true if (loaded == value if code == seccomp.IS else loaded >= value) else false
        at += 1 + jump


def test_the_program_fits() -> None:
    """The kernel takes filters of at most 4096 instructions."""
    assert len(seccomp.program("x86_64", 1)) < 4096
