"""A seccomp filter: system calls that decoding has no use for answer EPERM.

It is a list of what is forbidden and not of what is allowed: what a C library or FFmpeg calls changes
from version to version, and a forgotten call would break good videos. ``clone3`` answers ENOSYS, so that a
C library falls back to ``clone``. A program for another architecture, and x86's second set of numbers,
end the process. The numbers are those of Linux' own tables for x86_64 and aarch64.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

from serve_app.video.kernel import call

# name: numbers on x86_64 and aarch64; aarch64 never had the older forms
FORBIDDEN: dict[str, tuple[int, int | None]] = {
    # network
    "socket": (41, 198),
    "connect": (42, 203),
    "accept": (43, 202),
    "bind": (49, 200),
    "listen": (50, 201),
    "socketpair": (53, 199),
    "accept4": (288, 242),
    # other programs and processes, new threads
    "clone": (56, 220),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "kill": (62, 129),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "prctl": (157, 167),
    "process_madvise": (440, 440),
    # files by name
    "open": (2, None),
    "creat": (85, None),
    "openat": (257, 56),
    "openat2": (437, 437),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "truncate": (76, 45),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "rmdir": (84, None),
    "link": (86, None),
    "linkat": (265, 37),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "chmod": (90, None),
    "fchmodat": (268, 53),
    "chown": (92, None),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "chdir": (80, 49),
    "chroot": (161, 51),
    "inotify_init1": (294, 26),
    "fanotify_init": (300, 262),
    # memory without a limit of its own, and the kernel's large surfaces
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "bpf": (321, 280),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "personality": (135, 92),
    # the system
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "mount_setattr": (442, 442),
    "setns": (308, 268),
    "unshare": (272, 97),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "syslog": (103, 116),
    "sethostname": (170, 161),
    "ioperm": (173, None),
    "iopl": (172, None),
}
CLONE3 = 435
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
SECCOMP = {"x86_64": 317, "aarch64": 277}
TGKILL = {"x86_64": 234, "aarch64": 131}
X32_BIT = 0x40000000
SET_MODE_FILTER, ALL_THREADS = 1, 1

LOAD, IS, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # BPF: ld abs, jeq, jge, ret
KILL, ERRNO, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
NUMBER_AT, ARCH_AT, FIRST_ARGUMENT_AT = 0, 4, 16  # in struct seccomp_data; both machines are little endian

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, value


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def when(number: int, verdict: int) -> list[Instruction]:
    """Answer so if what was loaded last is this number, else go on."""
    return [(IS, 0, 1, number), (RETURN, 0, 0, verdict)]


def program(machine: str, pid: int) -> list[Instruction]:
    """The filter for a process; ``pid`` may signal itself, as ``abort`` does, and nobody else."""
    column = 0 if machine == "x86_64" else 1
    numbers = [both[column] for both in FORBIDDEN.values()]
    lines: list[Instruction] = [
        (LOAD, 0, 0, ARCH_AT),
        (IS, 1, 0, AUDIT_ARCH[machine]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER_AT),
        (AT_LEAST, 0, 1, X32_BIT),
        (RETURN, 0, 0, KILL),
        *when(CLONE3, ERRNO | errno.ENOSYS),
    ]
    for number in numbers:
        lines += when(number, ERRNO | errno.EPERM) if number is not None else []
    return [
        *lines,
        (IS, 1, 0, TGKILL[machine]),
        (RETURN, 0, 0, ALLOW),
        (LOAD, 0, 0, FIRST_ARGUMENT_AT),
        *when(pid, ALLOW),
        (RETURN, 0, 0, ERRNO | errno.EPERM),
    ]


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
