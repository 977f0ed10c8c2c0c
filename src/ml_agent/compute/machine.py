"""What of the machine this process may use, where a container is allowed less than there is.

Everywhere `groups` is where control groups are mounted, and `own` says in which of them this
process is.
"""

import math
import os
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
"""Where control groups are mounted."""
_OWN = Path("/proc/self/cgroup")
"""Says in which of them this process is."""


def memory_bytes(groups: Path = _GROUPS, own: Path = _OWN) -> int:
    """The machine's memory, or less where a container is limited."""
    limits = (limit for _, limit in _memory_limits(groups, own))
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *limits])


def free_memory_bytes(groups: Path = _GROUPS, own: Path = _OWN) -> int:
    """How much memory is free, or what a container may still take, where that is less.

    What a group of processes has cached of files and has not used for a while counts as free.
    """
    lines = Path("/proc/meminfo").read_text().splitlines()
    (free_kib,) = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    left = (limit - _taken(group) for group, limit in _memory_limits(groups, own))
    return max(0, min([1024 * int(free_kib), *left]))


def cores(groups: Path = _GROUPS, own: Path = _OWN) -> int:
    """How many cores this process can keep busy: those it may run on, or what a quota pays for.

    Rounded up: a core that has to rest at times still does more than one that is not used.
    """
    found = [float(len(os.sched_getaffinity(0)))]
    for group in _above("cpu", groups, own):
        quota, _, period = _read(group / "cpu.max").partition(" ")
        if not quota:
            quota, period = (_read(group / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        if quota not in {"", "max", "-1"} and period:
            found.append(int(quota) / int(period))
    return max(1, math.ceil(min(found)))


def keep_to_quota(groups: Path = _GROUPS, own: Path = _OWN) -> None:
    """Run on no more cores than a quota of CPU time pays for.

    Libraries start a thread for every core they may run on. So many threads use up a small quota
    early in every period, and all of them stand still for the rest of it. Where the system forbids
    the choice, or does not say what is allowed, nothing is changed.
    """
    # It makes a command faster; without it, every command still works.
    with suppress(OSError, ValueError):
        allowed, count = sorted(os.sched_getaffinity(0)), cores(groups, own)
        if count < len(allowed):
            # Any of them: with the first, all containers of a machine would meet on the same.
            os.sched_setaffinity(0, random.SystemRandom().sample(allowed, count))


def _memory_limits(groups: Path, own: Path) -> Iterator[tuple[Path, int]]:
    for group in _above("memory", groups, own):
        limit = _read(group / "memory.max") or _read(group / "memory.limit_in_bytes")
        if limit not in {"", "max"}:
            yield group, int(limit)


def _taken(group: Path) -> int:
    """The bytes of a group, without the files that the kernel will drop first."""
    used = _read(group / "memory.current") or _read(group / "memory.usage_in_bytes") or "0"
    fields = dict(line.split() for line in _read(group / "memory.stat").splitlines())
    # Version 1 has the group's own, and by this name those of the groups below it too.
    idle = fields.get("total_inactive_file", fields.get("inactive_file", "0"))
    return int(used) - int(idle)


def _above(controller: str, groups: Path, own: Path) -> Iterator[Path]:
    """The control groups that this process is in; the limits of each hold for it."""
    lines = _read(own).splitlines()
    for _, names, path in (line.split(":", 2) for line in lines):
        # Version 2 has one hierarchy for all controllers, version 1 one for each or for a few.
        if names and controller not in names.split(","):
            continue
        # Its folder may list the same controllers in another order, or have a link by each name.
        for folder in {names, names and controller}:
            place = groups / folder / path.lstrip("/")
            # A limit holds for all groups below; a container sees its own group as the root.
            yield from (place, *place.parents)


def _read(file: Path) -> str:
    """What a file says; nothing, where there is none or it is closed to us."""
    # A run needs no limits to work: those that are not told are met, not known.
    with suppress(OSError):
        return file.read_text().strip()
    return ""
