"""The filter: what it forbids, by the kernel's word and by reading it as the kernel does."""

from __future__ import annotations

import errno
import sys

import pytest

from serve_app.video import seccomp
from serve_app.video.syscalls import FORBIDDEN, narrowed
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
UNUSUAL = 0x7FFF0001  # no argument that is allowed
EVERY_CALL = """
from serve_app.video.syscalls import FORBIDDEN
column = 0 if seccomp.platform.machine() == "x86_64" else 1
allowed = []
for name, numbers in FORBIDDEN.items():
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
        lines, arch = seccomp.program(machine, 42), seccomp.AUDIT_ARCH[machine]
        numbers = {both[column] for both in FORBIDDEN.values()} - {None}
        answers = {number: verdict(lines, number, arch) for number in range(600)}
        refused = {number for number, answer in answers.items() if answer == seccomp.REFUSED}
        assert refused == numbers | {some.numbers[column] for some in narrowed(42).values()}
        assert answers[seccomp.CLONE3] == seccomp.ERRNO | errno.ENOSYS
        assert verdict(lines, 0, 0x40000003) == verdict(lines, seccomp.X32_BIT, arch)
        assert verdict(lines, 0, 0x40000003) == seccomp.KILL
        assert sum(answer == seccomp.ALLOW for answer in answers.values()) == 600 - len(refused) - 1


def test_some_calls_are_allowed_by_one_argument() -> None:
    """Each is allowed with its values at their place, and with none elsewhere; a process has only itself."""
    for machine, column in (("x86_64", 0), ("aarch64", 1)):
        lines, arch = seccomp.program(machine, 42), seccomp.AUDIT_ARCH[machine]
        for some in narrowed(42).values():
            number = some.numbers[column]
            for value in some.values:
                right = {some.argument: value}
                assert verdict(lines, number, arch, right) == seccomp.ALLOW
                assert verdict(lines, number, arch, {1 - some.argument: value}) == seccomp.REFUSED
    assert narrowed(42)["tgkill"].values == (42,)
    assert narrowed(42)["prlimit64"].values == (0,)


def test_no_number_stands_for_two_calls() -> None:
    """A number that was copied wrongly would forbid another call than its name says."""
    for column in (0, 1):
        numbers = [both[column] for both in FORBIDDEN.values()]
        numbers += [some.numbers[column] for some in narrowed(1).values()]
        known = [number for number in numbers if number is not None]
        assert len(known) == len(set(known))


def verdict(
    lines: list[seccomp.Instruction], number: int, arch: int, arguments: dict[int, int] | None = None
) -> int:
    """What a filter answers: the few instructions that it is made of, as the kernel reads them."""
    data = {seccomp.NUMBER_AT: number, seccomp.ARCH_AT: arch}
    for place in range(6):
        value = (arguments or {}).get(place, UNUSUAL)
        data[seccomp.ARGUMENTS_AT + seccomp.ARGUMENT_BYTES * place] = value
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
    """The kernel takes filters of at most 4096 instructions, whose jumps fit a byte."""
    lines = seccomp.program("x86_64", 1)
    assert len(lines) < 4096
    assert all(true < 256 and false < 256 for _, true, false, _ in lines)
