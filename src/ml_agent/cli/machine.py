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
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for group in _above("memory", groups, own):
        limits = (_read(group / name) for name in ("memory.max", "memory.limit_in_bytes"))
        found += [int(limit) for limit in limits if limit not in {"", "max"}]
    return min(found)


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
    return file.read_text().strip() if file.is_file() else ""
