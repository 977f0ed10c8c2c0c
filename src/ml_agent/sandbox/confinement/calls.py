"""System calls that only namespaces make harmless: a second filter, for where there are none.

Landlock does not cover the attributes of files, sockets with a path, and what one process may set
of another of the same user; a script could also leave its process group.
"""

from . import linux, seccomp
from .seccomp import (
    ALLOW,
    ARGUMENTS_AT,
    DONE,
    EPERM,
    EQUAL,
    ERRNO,
    LOAD,
    NUMBER_AT,
    RETURN,
)

_EACCES, _ENOTTY = 13, 25
_AND = 0x54

_PRETENDED: dict[str, tuple[int | None, int | None]] = {
    # Libraries set modes and times of files all the time and would fail if it were refused.
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
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    # The group is what is killed at the end.
    "setsid": (112, 157),
    "setpgid": (109, 154),
}
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    # sockets by name: an address is out of a filter's sight
    "bind": (49, 200),
    "connect": (42, 203),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    # watching files that may not be read
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "inotify_add_watch": (254, 27),
    # what all processes of a user share
    "shmctl": (31, 195),
    "semctl": (66, 191),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "msgctl": (71, 187),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "mq_unlink": (241, 181),
    "ioprio_set": (251, 30),
}
_WATCHED = {
    "x86_64": {
        "ioctl": 16,
        "prctl": 157,
        "sendto": 44,
        "prlimit64": 302,
        "setpriority": 141,
        "sched_setparam": 142,
        "sched_setscheduler": 144,
        "sched_setattr": 314,
    },
    "aarch64": {
        "ioctl": 29,
        "prctl": 167,
        "sendto": 206,
        "prlimit64": 261,
        "setpriority": 140,
        "sched_setparam": 118,
        "sched_setscheduler": 119,
        "sched_setattr": 274,
    },
}
_OF_A_PROCESS = (
    "prlimit64",
    "sched_setparam",
    "sched_setscheduler",
    "sched_setattr",
)
_PR_SET_DUMPABLE = 4
_PRIO_USER = 2
_KIND_OF_IOCTL = 0xFF00
_IOCTLS_OF_FILES = (b"f", b"v", b"X", b"\x94")
"""Flags, encryption, verity and generation of a file need no right to write to it."""


def apply() -> None:
    """Filter the calls of this process and of all it will ever start. Follows `seccomp.apply`.

    Raises:
        Refused: The kernel has no seccomp filters.
    """
    seccomp.load(_program(linux.MACHINE))


def _program(machine: str) -> bytes:
    watched = _WATCHED[machine]
    column = list(_WATCHED).index(machine)
    lines = [seccomp.line(LOAD, NUMBER_AT)]
    for table, error in ((_PRETENDED, DONE), (_REFUSED, _EACCES)):
        for numbers in table.values():
            number = numbers[column]
            if number is not None:
                lines += seccomp.answer(EQUAL, number, error)
    # An address is welcome if it has no length, as in `send`.
    lines += seccomp.judge(watched["sendto"], 5, _unless(0, _EACCES))
    # Only of the caller itself, which is process 0.
    for name in _OF_A_PROCESS:
        lines += seccomp.judge(watched[name], 0, _unless(0, EPERM))
    whom = [*seccomp.answer(EQUAL, _PRIO_USER, EPERM), _load(1), *_unless(0, EPERM)]
    lines += seccomp.judge(watched["setpriority"], 0, whom)
    lines += seccomp.judge(watched["prctl"], 0, seccomp.answer(EQUAL, _PR_SET_DUMPABLE, DONE))
    kinds = [seccomp.line(_AND, _KIND_OF_IOCTL)]
    for kind in _IOCTLS_OF_FILES:
        kinds += seccomp.answer(EQUAL, kind[0] << 8, _ENOTTY)
    lines += seccomp.judge(watched["ioctl"], 1, kinds)
    return b"".join([*lines, seccomp.line(RETURN, ALLOW)])


def _load(argument: int) -> bytes:
    return seccomp.line(LOAD, ARGUMENTS_AT + 8 * argument)


def _unless(value: int, error: int) -> list[bytes]:
    """Give this errno unless the loaded word is `value`."""
    return [seccomp.line(EQUAL, value, then=1), seccomp.line(RETURN, ERRNO | error)]
