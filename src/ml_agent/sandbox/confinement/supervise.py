"""Watch a box from outside: time, memory, output. Whoever goes too far is killed, whole.

With namespaces the confined command is the first process of its own, so killing it kills everything
in there at once, daemons included, and it is not over before all of them are gone. Without, see
`processes`.
"""

# pathlib is slow to import.
# ruff: noqa: PTH123, PTH208

# The C halves of `signal` and `socket`: the others are slow to import.
import _signal  # type: ignore[import-not-found]
import contextlib
import os
import select
import time

from . import linux
from .box import Box

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

FLOOD_BYTES = 32 << 20
"""A box that prints more than that is killed."""
_POLL_S = 0.05
_CHUNK = 1 << 16
_SOCKET_BYTES = 512 << 10
"""What a socket can hold in the kernel, where no other limit counts it."""
_TICKS = os.sysconf("SC_CLK_TCK")
_REPLY_FD = 1


class Confined:
    """A process that is to become a box's command, seen from outside.

    Everything in its namespace is dead as soon as `pidfd` is readable.
    """

    def __init__(
        self,
        pid: int,
        *,
        pidfd: int,
        channel: "_socket.socket",
        output: int,
        reap: "Callable[[], tuple[int, float]]",
    ):
        """Keep hold of it.

        Args:
            pid: For looking at it in /proc.
            pidfd: For killing it, and to see its end: unlike a number it is never another process.
            channel: On which it says how its confinement went.
            output: Where its standard output and error can be read.
            reap: Waits for its end; the exit code as from `os.waitstatus_to_exitcode`, and the
                processor time of all its processes in seconds.
        """
        self.pid = pid
        self.pidfd = pidfd
        self.channel = channel
        self.output = output
        self.reap = reap

    def kill(self) -> None:
        """Kill it and all it has started; one that is dead already is left in peace."""
        with contextlib.suppress(ProcessLookupError):
            _signal.pidfd_send_signal(self.pidfd, linux.SIGKILL)

    def pids(self) -> list[int]:
        """It and all it has started."""
        return tree(self.pid)

    def sockets(self) -> int:
        """How many there are in its network, whoever holds them."""
        return _sockets(self.pid)

    def is_full(self) -> bool:
        """Whether it holds more on disk than it may; here the disk itself sees to that."""
        return False

    def ended_full(self, workspace: int) -> bool:
        """Whether its disk, on which the workspace lies, was full at its end."""
        space = os.fstatvfs(workspace)
        return space.f_bavail == 0 or space.f_favail == 0


class Ending:
    """What was seen of a box until it was dead."""

    def __init__(self, *, status: int, killed_by: str | None, output: bytes, wall_s: float):
        """Keep what was seen; `status` is as from `Confined.reap`."""
        self.status = status
        self.killed_by = killed_by
        self.output = output
        self.wall_s = wall_s
        self.cpu_s = 0.0


class Output:
    """The beginning and the end of everything printed."""

    def __init__(self, keep: int):
        """Keep about so many bytes."""
        self.total = 0
        self._half = max(1, keep // 2)
        self._head = b""
        self._tail = bytearray()

    def add(self, chunk: bytes) -> None:
        """Take in what was just printed."""
        self.total += len(chunk)
        missing = self._half - len(self._head)
        self._head += chunk[:missing]
        self._tail += chunk[missing:] if missing > 0 else chunk
        if len(self._tail) > 4 * max(self._half, _CHUNK):
            del self._tail[: -self._half]

    def text(self) -> bytes:
        """What is kept, with a line that says how much is not."""
        tail = bytes(self._tail[-self._half :])
        cut = self.total - len(self._head) - len(tail)
        note = b"\n... %d bytes of output cut ...\n" % cut if cut else b""
        return self._head + note + tail


def watch(confined: Confined, box: Box) -> Ending:
    """Wait until a box is dead, killing it as soon as it meets a limit of the whole.

    Args:
        confined: Its first process.
        box: What it may use.
    """
    output, ended = confined.output, confined.pidfd
    started = time.monotonic()
    # A script can open the pipe too, and read what we were just told is there.
    os.set_blocking(output, False)
    kept = Output(box.output_bytes)
    killed_by, cpu_s = None, 0.0
    spent: dict[int, float] = {}
    poller = select.poll()
    poller.register(output, select.POLLIN)
    poller.register(ended, select.POLLIN)
    # Whoever asked has hung up: there is nobody left to run for.
    poller.register(_REPLY_FD, 0)
    looked = started
    while True:
        ready = dict(poller.poll(_POLL_S * 1000))
        now = time.monotonic()
        if ended in ready:
            break
        if output in ready:
            with contextlib.suppress(BlockingIOError):
                if not _take(output, kept):
                    poller.unregister(output)
        if now - looked >= _POLL_S:
            looked = now
            memory, cpu_s = _usage(confined, box.memory_bytes, spent)
            if memory > box.memory_bytes:
                killed_by = "memory"
            if confined.is_full():
                killed_by = "disk"
        if now - started > box.wall_s or cpu_s > box.cpu_s:
            killed_by = "time"
        if kept.total > FLOOD_BYTES:
            killed_by = "disk"
        if killed_by or _REPLY_FD in ready:
            confined.kill()
            break
    status, used_s = confined.reap()
    wall_s = time.monotonic() - started
    with contextlib.suppress(BlockingIOError):
        while kept.total <= FLOOD_BYTES and _take(output, kept):
            pass
    ending = Ending(status=status, killed_by=killed_by, output=kept.text(), wall_s=wall_s)
    ending.cpu_s = max(cpu_s, used_s)
    return ending


def _take(output: int, kept: Output) -> bool:
    chunk = os.read(output, _CHUNK)
    kept.add(chunk)
    return bool(chunk)


def _usage(confined: Confined, enough: int, spent: dict[int, float]) -> tuple[int, float]:
    """Memory in bytes and processor time in seconds of all that a box runs.

    Memory that processes share is counted once, at the price of a slower look, if the quick sum is
    above `enough`. `spent` keeps the processor time of every process that was ever seen.
    """
    pids = confined.pids()
    buffers = _SOCKET_BYTES * confined.sockets()
    memory = buffers + sum(_memory(pid) for pid in pids)
    if memory > enough:
        memory = buffers + sum(_fair_memory(pid) for pid in pids)
    return memory, _cpu_s(pids, spent)


def tree(first: int) -> list[int]:
    """A process and all its descendants."""
    found, pending = [], [first]
    while pending:
        pid = pending.pop()
        found.append(pid)
        # A process may end while it is looked at.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                children = _look(f"/proc/{pid}/task/{thread}/children")
                pending += [int(child) for child in children.split()]
    return found


def _memory(pid: int) -> int:
    """What a process holds, shared or not. Page tables and what was swapped out count."""
    return _held(pid, (b"RssAnon:", b"RssShmem:", b"VmSwap:", b"VmPTE:"))


def _fair_memory(pid: int) -> int:
    """The same with shared memory divided among those who share it."""
    try:
        shares = _sum(
            _look(f"/proc/{pid}/smaps_rollup"), (b"Pss_Anon:", b"Pss_Shmem:", b"SwapPss:")
        )
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        # Its first thread has ended, or it has closed its /proc to others: both are a script's
        # choice, and win it nothing.
        return _memory(pid)
    return shares + _held(pid, (b"VmPTE:",))


def _held(pid: int, wanted: tuple[bytes, ...]) -> int:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            table = _look(f"/proc/{pid}/task/{thread}/status")
            # A thread that has ended shows nothing of the memory that the others still use.
            if b"VmPTE:" in table:
                return _sum(table, wanted)
    return 0


def _sum(table: bytes, wanted: tuple[bytes, ...]) -> int:
    return sum(
        1024 * int(line.split()[1]) for line in table.splitlines() if line.startswith(wanted)
    )


def _sockets(first: int) -> int:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{first}/task"):
            with contextlib.suppress(OSError):
                return int(_look(f"/proc/{first}/task/{thread}/net/sockstat").split()[2])
    return 0


def _cpu_s(pids: list[int], spent: dict[int, float]) -> float:
    living = 0.0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = _look(f"/proc/{pid}/stat").rpartition(b")")[2].split()
            # User and system time: its own, and that of children it has waited for.
            own, waited = (sum(map(int, fields[at : at + 2])) / _TICKS for at in (11, 13))
            spent[pid] = own
            living += own + waited
    # Nobody waits for the children of a process that ignores their end: these are in `spent` only.
    return max(living, sum(spent.values()))


def _look(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
