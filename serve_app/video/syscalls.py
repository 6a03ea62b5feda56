"""The system calls that decoding has no use for, and those that it may make with some arguments only.

The numbers are those of Linux' own tables for x86_64 and aarch64.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    "chdir": (80, 49),
    "chroot": (161, 51),
    "uselib": (134, None),
    "inotify_init1": (294, 26),
    "inotify_init": (253, None),
    "inotify_add_watch": (254, 27),
    "fanotify_init": (300, 262),
    # who a file belongs to, when it changed, what hangs on it; locks that others wait for
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "getxattr": (191, 8),
    "lgetxattr": (192, 9),
    "getxattrat": (464, 464),
    "listxattr": (194, 11),
    "llistxattr": (195, 12),
    "listxattrat": (465, 465),
    "file_getattr": (468, 468),
    "file_setattr": (469, 469),
    "flock": (73, 32),
    # limits, priorities, processors and memory of other processes
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "process_mrelease": (448, 448),
    "get_robust_list": (274, 100),
    # memory without a limit of its own and what others share by number, and the kernel's large surfaces
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_setup": (206, 0),
    "io_submit": (209, 2),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "bpf": (321, 280),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "personality": (135, 92),
    "modify_ldt": (154, None),
    "lsm_set_self_attr": (460, 460),
    "lookup_dcookie": (212, 18),
    # the system
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "statmount": (457, 457),
    "listmount": (458, 458),
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
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "vhangup": (153, 58),
    "sync": (162, 81),
    "syncfs": (306, 267),
    "ioperm": (173, None),
    "iopl": (172, None),
}


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A call of these ``numbers`` is allowed where its argument of that place is one of ``values``.

    Only the low 32 bits are compared; of these arguments the kernel reads no more.
    """

    numbers: tuple[int, int]
    argument: int
    values: tuple[int, ...]


# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, F_GET_SEALS. Not F_SETOWN and F_SETSIG, by
# which a descriptor has signals sent to any process of this user, nor locks and leases.
DESCRIPTOR_COMMANDS = (0, 1, 2, 3, 4, 1030, 1034)
# TCGETS, FIONBIO, FIONREAD, FIONCLEX, FIOCLEX. Not those that type into a terminal, name who gets signals, or
# change a file's flags.
DEVICE_COMMANDS = (0x5401, 0x5421, 0x541B, 0x5450, 0x5451)


def narrowed(pid: int) -> dict[str, Narrowed]:
    """What ``pid`` may do to itself, as ``abort`` and ``setrlimit`` do, and to its descriptors."""
    return {
        "tgkill": Narrowed((234, 131), 0, (pid,)),
        "prlimit64": Narrowed((302, 261), 0, (0,)),
        "fcntl": Narrowed((72, 25), 1, DESCRIPTOR_COMMANDS),
        "ioctl": Narrowed((16, 29), 1, DEVICE_COMMANDS),
    }
