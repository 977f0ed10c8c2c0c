"""System calls that no experiment needs, refused by a filter in the kernel.

A list of what is refused, not of what is allowed: scientific libraries use a long and changing tail
of calls. Calls newer than the list are answered "not implemented", which libraries cope with.
"""

import ctypes
import struct

from . import linux

EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
DONE = 0
"""Errno 0: the call does nothing and reports success."""
_NEWEST = 462
"""The highest call number judged here; it is the same on all processors from 424 on."""
_AF_UNIX = 1
_PR_SET_PDEATHSIG = 1
_MAP_SHARED, _MAP_ANONYMOUS = 0x01, 0x20
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_REFUSED: dict[str, tuple[int | None, int | None]] = {
    # namespaces, mounts, roots
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # memory that no limit counts
    "shmget": (29, 194),
    "shmat": (30, 196),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "memfd_secret": (447, 447),
    "vmsplice": (278, 75),
    # large and often broken parts of the kernel
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "fanotify_init": (300, 262),
    # what is counted over the whole machine, and would then be missing elsewhere
    "io_setup": (206, 0),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "modify_ldt": (154, None),
    "personality": (135, 92),
    "lookup_dcookie": (212, 18),
    "uselib": (134, None),
    "ustat": (136, None),
    # the machine itself
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "vhangup": (153, 58),
    "nfsservctl": (180, 42),
}
_NOT_IMPLEMENTED: dict[str, tuple[int | None, int | None]] = {
    # Its flags are out of a filter's sight; the C library then uses clone, whose flags are not.
    "clone3": (435, 435),
    # Files that no limit counts; libraries then use an ordinary temporary file.
    "memfd_create": (319, 279),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
}
_WATCHED = {
    "x86_64": {
        "clone": 56,
        "ioctl": 16,
        "mmap": 9,
        "prctl": 157,
        "sched_setaffinity": 203,
        "socket": 41,
        "socketpair": 53,
    },
    "aarch64": {
        "clone": 220,
        "ioctl": 29,
        "mmap": 222,
        "prctl": 167,
        "sched_setaffinity": 122,
        "socket": 198,
        "socketpair": 199,
    },
}

LOAD, EQUAL, _AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER_AT, _ARCH_AT, ARGUMENTS_AT = 0, 4, 16
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


def apply() -> None:
    """Filter the calls of this process and of all it will ever start. Cannot be undone.

    Raises:
        Refused: The kernel has no seccomp filters, or the processor is not known here.
    """
    if linux.MACHINE not in _ARCHITECTURES:
        raise linux.Refused(f"processor {linux.MACHINE!r} has no table of system calls here")
    load(_program(linux.MACHINE))


def load(program: bytes) -> None:
    """Put a filter beside those that are there; of their answers the strictest counts.

    Raises:
        Refused: The kernel has no seccomp filters.
    """
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    try:
        linux.prctl(_PR_SET_SECCOMP, _MODE_FILTER, header)
    except OSError as error:
        raise linux.Refused(f"seccomp filter: {error.strerror}") from error


def _program(machine: str) -> bytes:
    column = list(_ARCHITECTURES).index(machine)
    watched = _WATCHED[machine]
    lines = [
        line(LOAD, _ARCH_AT),
        line(EQUAL, _ARCHITECTURES[machine], then=1),
        # Calls of another processor mode (32 bit) have other numbers: refuse them all.
        line(RETURN, ERRNO | _ENOSYS),
        line(LOAD, NUMBER_AT),
        # The x32 calls lie above as well.
        *answer(_AT_LEAST, _NEWEST + 1, _ENOSYS),
    ]
    for table, error in ((_REFUSED, EPERM), (_NOT_IMPLEMENTED, _ENOSYS)):
        for numbers in table.values():
            number = numbers[column]
            if number is not None:
                lines += answer(EQUAL, number, error)
    new_namespaces = linux.NEW_NAMESPACES | 0x02000000
    lines += judge(watched["clone"], 0, answer(ANY_BIT, new_namespaces, EPERM))
    # Typing into a terminal on somebody's behalf: TIOCSTI, TIOCLINUX.
    typing = [*answer(EQUAL, 0x5412, EPERM), *answer(EQUAL, 0x541C, EPERM)]
    lines += judge(watched["ioctl"], 1, typing)
    # vsock reaches the host whatever the network namespace.
    only_unix = [line(EQUAL, _AF_UNIX, then=1), line(RETURN, ERRNO | _EAFNOSUPPORT)]
    lines += judge(watched["socket"], 0, only_unix)
    lines += judge(watched["socketpair"], 0, only_unix)
    # Such memory is still held when no process shows it any more: no limit would count it.
    shared = [line(ANY_BIT, _MAP_ANONYMOUS, otherwise=2), *answer(ANY_BIT, _MAP_SHARED, EPERM)]
    lines += judge(watched["mmap"], 3, shared)
    # Which cores a run has is not for the script to say; libraries that try must not fail.
    lines += answer(EQUAL, watched["sched_setaffinity"], DONE)
    # It would let the script outlive its supervisor.
    lines += judge(watched["prctl"], 0, answer(EQUAL, _PR_SET_PDEATHSIG, DONE))
    return b"".join([*lines, line(RETURN, ALLOW)])


def line(code: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    """One instruction; a test jumps over so many lines if it holds, or if it does not."""
    return struct.pack("=HBBI", code, then, otherwise, value)


def answer(test: int, value: int, error: int) -> list[bytes]:
    """Give this errno if the loaded word passes the test."""
    return [line(test, value, otherwise=1), line(RETURN, ERRNO | error)]


def judge(number: int, argument: int, body: list[bytes]) -> list[bytes]:
    """Run `body` on the low word of an argument of one call, and allow what it lets pass."""
    inner = [line(LOAD, ARGUMENTS_AT + 8 * argument), *body, line(RETURN, ALLOW)]
    return [line(EQUAL, number, otherwise=len(inner)), *inner]
