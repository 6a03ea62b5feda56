"""A seccomp filter: system calls that decoding has no use for answer EPERM.

It is a list of what is forbidden and not of what is allowed: what a C library or FFmpeg calls changes
from version to version, and a forgotten call would break good videos. ``clone3`` answers ENOSYS, so that a
C library falls back to ``clone``. A program for another architecture, and x86's second set of numbers,
end the process. The lists are :mod:`serve_app.video.syscalls`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

from serve_app.video.kernel import call
from serve_app.video.syscalls import FORBIDDEN, Narrowed, narrowed

CLONE3 = 435
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
SECCOMP = {"x86_64": 317, "aarch64": 277}
X32_BIT = 0x40000000
SET_MODE_FILTER, ALL_THREADS = 1, 1

LOAD, IS, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # BPF: ld abs, jeq, jge, ret
KILL, ERRNO, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
NUMBER_AT, ARCH_AT, ARGUMENTS_AT = 0, 4, 16  # in struct seccomp_data; both machines are little endian
ARGUMENT_BYTES = 8
REFUSED = ERRNO | errno.EPERM

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, value


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def when(number: int, verdict: int) -> list[Instruction]:
    """Answer so if what was loaded last is this number, else go on."""
    return [(IS, 0, 1, number), (RETURN, 0, 0, verdict)]


def program(machine: str, pid: int) -> list[Instruction]:
    """The filter for a process; ``pid`` may signal and limit itself, and nobody else."""
    column = 0 if machine == "x86_64" else 1
    lines: list[Instruction] = [
        (LOAD, 0, 0, ARCH_AT),
        (IS, 1, 0, AUDIT_ARCH[machine]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER_AT),
        (AT_LEAST, 0, 1, X32_BIT),
        (RETURN, 0, 0, KILL),
        *when(CLONE3, ERRNO | errno.ENOSYS),
    ]
    for numbers in FORBIDDEN.values():
        number = numbers[column]
        lines += when(number, REFUSED) if number is not None else []
    for some in narrowed(pid).values():
        lines += only_with(some, some.numbers[column])
    return [*lines, (RETURN, 0, 0, ALLOW)]


def only_with(some: Narrowed, number: int) -> list[Instruction]:
    """Answer for this call by its argument; for another go on, with its number still loaded."""
    verdict: list[Instruction] = [(LOAD, 0, 0, ARGUMENTS_AT + ARGUMENT_BYTES * some.argument)]
    for value in some.values:
        verdict += when(value, ALLOW)
    verdict.append((RETURN, 0, 0, REFUSED))
    return [(IS, 0, len(verdict), number), *verdict]


def install(machine: str, lines: list[Instruction]) -> None:
    """Put a filter over all threads for good; ``OSError`` where the kernel has none."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    described = _Program(len(lines), ctypes.addressof(code))
    call(SECCOMP[machine], SET_MODE_FILTER, ALL_THREADS, ctypes.byref(described))


def restrict() -> None:
    """Forbid this process what is listed above; ``OSError`` where that is not possible."""
    machine = platform.machine()
    if machine not in AUDIT_ARCH:
        raise OSError(errno.ENOSYS, f"no filter for {machine}")
    install(machine, program(machine, os.getpid()))
