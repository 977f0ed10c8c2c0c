"""Give up everything a script does not need. One way: there is no road back.

The caller is a process of one thread that was forked into namespaces of its own (`linux.fork_into`)
and whose user has been mapped (`map_user`) by the process outside. A cold launcher's child is then
replaced by the script's interpreter; a zygote's worker goes on and runs the script.
"""

# pathlib is slow to import.
# ruff: noqa: PTH123

import math
import os
import resource
from collections.abc import Callable

from . import landlock, linux, root, seccomp
from .box import Box

NOBODY = 65534
_OPEN_FILES = 1024
_LOCKED_MEMORY = 64 * 1024
_PENDING_SIGNALS = 1024
"""Timers too: the kernel keeps one ready for each."""


def map_user(pid: int) -> None:
    """Let the confined process be the caller's own user or, if that is root, nobody.

    Root itself would still own most of /proc/sys, and no limit on processes holds for it.

    Raises:
        Refused: The mapping is not allowed, or root has no other user to turn into.
    """
    user, group = script_user()
    try:
        if user != NOBODY:
            _tell(pid, "setgroups", "deny")
        _tell(pid, "uid_map", f"{root.USER} {user} 1\n")
        _tell(pid, "gid_map", f"{root.USER} {group} 1\n")
    except OSError as error:
        raise linux.Refused(f"mapping the user of a new namespace: {error.strerror}") from error


def script_user() -> tuple[int, int]:
    """User and group that scripts run as: the caller's own or, if that is root, nobody's.

    Raises:
        Refused: Root has no other user to turn into.
    """
    if os.geteuid() != 0 or (_is_imagined_root() and not _maps_nobody()):
        return os.geteuid(), os.getegid()
    if not _maps_nobody():
        raise linux.Refused("this is root, and there is no user 65534 (nobody) to run scripts as")
    return NOBODY, NOBODY


def confine(box: Box, *, hand_over: Callable[[int], None]) -> None:
    """Confine this process to a box and make the workspace its current folder.

    Covered, in this order: identity, files, limits, Landlock, capabilities, system calls. Not
    covered: descriptors that are open already (close them), the environment, and wall time, the
    sum of memory and of processor time over all processes (`supervise`).

    Args:
        box: What is shown and allowed. Memory is counted on top of what the process holds now.
        hand_over: Called with a descriptor of the workspace's folder, to pass it outside; it is
            closed afterwards.

    Raises:
        Refused: A part of the confinement is not allowed on this machine.
        OSError: A step failed.
    """
    held = data_bytes()
    views = root.Views(box)
    _become_the_mapped_user()
    linux.die_with_parent()
    workspace = root.enter(box, views)
    hand_over(workspace)
    os.close(workspace)
    limit(box, held=held, processes=box.processes)
    linux.give_up_privileges()
    landlock.apply(root.WRITABLE)
    seccomp.apply()


def _become_the_mapped_user() -> None:
    if os.getuid() != root.USER:
        os.setgroups([])
        os.setresgid(root.USER, root.USER, root.USER)
        os.setresuid(root.USER, root.USER, root.USER)
    os.umask(0o022)


def limit(box: Box, *, held: int, processes: int) -> None:
    """Set the limits that the kernel keeps for every process by itself.

    Args:
        box: What is allowed.
        held: Bytes of memory that do not count: `data_bytes` at the start.
        processes: How many processes and threads its user may have.
    """
    limits = {
        resource.RLIMIT_CPU: max(1, math.ceil(box.cpu_s)),
        # Not RLIMIT_AS: libraries reserve far more addresses than they use.
        resource.RLIMIT_DATA: held + box.memory_bytes,
        resource.RLIMIT_FSIZE: box.disk_bytes,
        resource.RLIMIT_NPROC: processes,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_MEMLOCK: _LOCKED_MEMORY,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_SIGPENDING: _PENDING_SIGNALS,
        # Not 0: with 1 the kernel does not even hand a crash to the machine's crash reporter.
        resource.RLIMIT_CORE: 1,
    }
    for kind, most in limits.items():
        allowed = resource.getrlimit(kind)[1]
        least = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
        resource.setrlimit(kind, (least, least))


def data_bytes() -> int:
    """Memory of this process that counts towards its limit."""
    with open("/proc/self/status", "rb") as file:
        found = [line for line in file if line.startswith(b"VmData:")]
    return int(found[0].split()[1]) * 1024


def _tell(pid: int, name: str, text: str) -> None:
    with open(f"/proc/{pid}/{name}", "w", encoding="ascii") as file:
        file.write(text)


def _user_ranges() -> list[list[int]]:
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return [[int(word) for word in line.split()] for line in file]


def _maps_nobody() -> bool:
    return any(first <= NOBODY < first + count for first, _, count in _user_ranges())


def _is_imagined_root() -> bool:
    """Root only inside a user namespace, as in a rootless container."""
    return all(outside != 0 for first, outside, _ in _user_ranges() if first == 0)
