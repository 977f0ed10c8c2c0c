"""Processes as /proc shows them. Their numbers wrap around, so order tells nothing of age."""

import contextlib
from pathlib import Path

Known = tuple[int, str]
"""A number and when it was given, for it may be given again."""
_GONE = (FileNotFoundError, ProcessLookupError)


def children(pid: int) -> set[int]:
    """The children of a process, by whichever of its threads they were started."""
    found: set[int] = set()
    with contextlib.suppress(*_GONE):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(*_GONE):
                found.update(map(int, (thread / "children").read_text().split()))
    return found


def descendants(pid: int) -> set[int]:
    """A process and all below it."""
    found: set[int] = set()
    pending = {pid}
    while pending:
        found.add(one := pending.pop())
        pending |= children(one) - found
    return found


def is_alive(pid: int) -> bool:
    """A zombie is dead; who inherits it may take its time."""
    return (fields := _status(pid)) is not None and fields[0] != "Z"


def session(pid: int) -> int | None:
    """None: there is no such process."""
    return int(fields[3]) if (fields := _status(pid)) is not None else None


def known(pids: set[int]) -> set[Known]:
    """Those that there are, told apart from any that get their numbers later."""
    return {(pid, fields[19]) for pid in pids if (fields := _status(pid)) is not None}


def lives(process: Known) -> bool:
    """Whether this very process is alive."""
    pid, born = process
    fields = _status(pid)
    return fields is not None and fields[0] != "Z" and fields[19] == born


def _status(pid: int) -> list[str] | None:
    """Fields from the third on; None: there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except _GONE:
        return None
