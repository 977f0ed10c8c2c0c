"""A box without namespaces: a group of processes that may not leave it, and a folder.

Covered: nobody of the group outlives the run, however it detached itself; the folder's bytes and
files, by looking at it every now and then; files that were removed while they are open.
Not covered: what is written between two looks; a file that was removed and is mapped but not open;
and, should the launcher and whoever asked it be killed at the same moment, what the group runs on
until its processor limit.
"""

# pathlib is slow to import.
# ruff: noqa: PTH115, PTH116, PTH123, PTH208

import _socket
import contextlib
import os
import resource
import stat
import time

from . import launch, linux, scratch
from .box import Box
from .launch import GO, Enter, become, execute
from .supervise import Confined, tree

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing and collections.abc are slow to import.
    from collections.abc import Iterator

_PR_SET_CHILD_SUBREAPER = 36
_PF_EXITING = 4
_REST = 10
"""A look at the folder is followed by so many times its own duration without one."""


def run(box: Box, *, enter: Enter, user: tuple[int, int]) -> dict[str, object]:
    """Run a box to its end; its scratch folder is removed afterwards.

    Args:
        box: What to run.
        enter: Confines the forked process.
        user: User and group of the script.

    Raises:
        Refused: This machine does not allow the confinement.
        OSError: The confinement or the command could not be started.
    """
    os.umask(0o022)
    try:
        scratch.fill(box, user=user)
        # Orphans of the box become our children: nobody is lost sight of.
        linux.prctl(_PR_SET_CHILD_SUBREAPER, 1)
        # Not as root: what a stranger's process uses, only its own user may see in a container.
        return launch.run(box, _fork(box, enter), watching=_acting_as(*user))
    finally:
        scratch.remove(box.scratch)


def _fork(box: Box, enter: Enter) -> "Group":
    """A child that becomes the command by itself."""
    output, printed = os.pipe()
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    pid = os.fork()
    if pid == 0:
        ours.close()
        if theirs.recv(1) == GO:
            become(box, theirs, printed, execute, enter=enter)
        os._exit(1)
    theirs.close()
    os.close(printed)
    os.setpgid(pid, pid)
    ours.send(GO)
    return Group(pid, box, channel=ours, output=output)


class Group(Confined):
    """A child that leads a process group which it cannot leave, and its folder."""

    def __init__(self, pid: int, box: Box, *, channel: _socket.socket, output: int):
        """Name the child, the ends of its channel and output, and what it may use."""
        super().__init__(
            pid, pidfd=os.pidfd_open(pid), channel=channel, output=output, reap=self._reap
        )
        self._box = box
        self._next_look = 0.0
        self._closed: set[int] = set()

    def kill(self) -> None:
        """End the group at once: no fork of it gets away in between."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, linux.SIGKILL)

    def pids(self) -> list[int]:
        """All processes of the box, those that lost their parents too."""
        return tree(os.getpid())[1:]

    def sockets(self) -> int:
        """How many sockets its processes have open: its network is everybody's."""
        return sum(map(_open_sockets, self.pids()))

    def is_full(self) -> bool:
        """Whether the folder holds more than it may, or its processes hide what they hold."""
        started = time.monotonic()
        if started < self._next_look:
            return False
        closed = set(filter(_is_closed, self.pids()))
        # At two looks: one that is becoming another program is closed for a moment.
        if closed & self._closed:
            return True
        self._closed = closed
        open_files = (_removed_files(pid) for pid in self.pids())
        full = scratch.is_over(self._box, removed=open_files)
        now = time.monotonic()
        self._next_look = now + _REST * (now - started)
        return full

    def ended_full(self, workspace: int) -> bool:
        """No: the host's disk says nothing about the box, which was looked at while it ran."""
        return False

    def _reap(self) -> tuple[int, float]:
        # Before its end is collected: until then its number is not given to another process.
        self.kill()
        _, status, usage = os.wait4(self.pid, 0)
        self._end_stragglers()
        return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime

    def _end_stragglers(self) -> None:
        """Wait for all others; end who left the group, which only a box without walls allows."""
        while pids := self.pids():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, linux.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            time.sleep(0.001)


def others() -> int:
    """How many processes and threads this process's user has besides it, as the kernel counts.

    Found by forking under ever other limits: in a container it also counts what cannot be seen
    there. The limit on processes is lowered by that.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NPROC)
    too_few, enough = 0, 2
    while not _can_fork_under(enough, most):
        too_few, enough = enough, 2 * enough
        if enough > 1 << 22:
            raise OSError("this user may not start a process")
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if _can_fork_under(middle, most):
            enough = middle
        else:
            too_few = middle
    # The limit that a fork needs counts this process and its child.
    return enough - 2


def _can_fork_under(limit: int, most: int) -> bool:
    if most != resource.RLIM_INFINITY and limit > most:
        limit = most
    resource.setrlimit(resource.RLIMIT_NPROC, (limit, most))
    try:
        pid = os.fork()
    except BlockingIOError:
        return False
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return True


def _open_sockets(pid: int) -> int:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        return sum(
            os.readlink(fd.path).startswith("socket:") for fd in os.scandir(f"/proc/{pid}/fd")
        )
    return 0


def _is_closed(pid: int) -> bool:
    """Whether a living process keeps its open files to itself: it runs what it may not read."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        try:
            os.listdir(f"/proc/{pid}/fd")
        except PermissionError:
            with open(f"/proc/{pid}/stat", "rb") as file:
                state, *_, flags = file.read().rpartition(b")")[2].split()[:7]
            # Those that are ending are closed too.
            return state not in {b"Z", b"X"} and not int(flags) & _PF_EXITING
    return False


def _removed_files(pid: int) -> list[tuple[int, int]]:
    """Number and bytes of the files that a process holds open and no folder lists any more."""
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                held = os.stat(f"/proc/{pid}/fd/{fd}")
                if stat.S_ISREG(held.st_mode) and held.st_nlink == 0:
                    found.append((held.st_ino, 512 * held.st_blocks))
    return found


@contextlib.contextmanager
def _acting_as(user: int, group: int) -> "Iterator[None]":
    before = os.geteuid(), os.getegid()
    os.setegid(group)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(before[0])
        os.setegid(before[1])
