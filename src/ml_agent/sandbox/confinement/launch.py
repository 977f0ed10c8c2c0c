r"""One run, from the request to the reply; and the cold launcher, a program that serves one.

    python -I -S -c "import sys; sys.path.append(FOLDER of this package); \
                     from confinement.launch import main; main()"

Both ends of the pipes are the same interpreter, and the script reaches neither, so they speak
`marshal`: it carries bytes and costs no import. The reply is framed by its length, so that one cut
off by a kill is not taken for whole. It is one of

    {"refused": why}    this machine does not allow the confinement
    {"failed": why}     the confinement or the command could not be started
    {"status", "killed_by", "output", "wall_s", "cpu_s", "full", "files"}

A process is *confined* in three messages on a channel between it and whoever supervises it: `GO`
once its user is mapped; back comes a descriptor of its workspace; then the channel closes as the
command starts, or says what went wrong.
"""

# The C half of `socket`: the other half costs 10 ms of imports.
import _socket
import contextlib
import errno
import marshal
import os
import sys
from collections.abc import Callable

from . import linux
from .box import Box
from .confine import confine, map_user
from .harvest import harvest
from .supervise import Confined, Ending, watch

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is slow to import.
    from contextlib import AbstractContextManager
    from typing import BinaryIO

Enter = Callable[[Box, Callable[[int], None]], None]
"""Confines the process that was forked for a box, and hands a descriptor of its workspace out."""
Start = Callable[[Box, _socket.socket], None]
"""Turns the confined process into the command and does not return. The channel closes as it does:
that is the sign that the command runs."""

GO = b"m"
_FOLDER = b"w"
_FAILED = b"!"
_FAR = 1 << 20
_CONFINED_S = 60.0
"""For becoming confined: a folder to be shown may lie on a disk that does not answer."""
_NOT_ALLOWED = {errno.EPERM, errno.ENOSYS, errno.EINVAL, errno.ENOSPC, errno.EUSERS}
"""How the kernel says that namespaces or parts of them are not to be had."""


def main() -> None:
    """Serve one request; the command replaces the confined process."""
    box = Box(**marshal.load(sys.stdin.buffer))
    answer(sys.stdout.buffer, box, begin=lambda: _fork(box))


def answer(told: "BinaryIO", box: Box, *, begin: Callable[[], Confined]) -> None:
    """Run a box and write the reply.

    Args:
        told: Where the reply goes.
        box: What to run.
        begin: Gives the process that is to become the command.
    """
    tell(told, lambda: run(box, begin()))


def tell(told: "BinaryIO", run: Callable[[], dict[str, object]]) -> None:
    """Write what comes of a run, or why there was none."""
    reply: dict[str, object]
    try:
        reply = run()
    except linux.Refused as error:
        reply = {"refused": str(error)}
    except OSError as error:
        reply = {"failed": str(error)}
    told.write(framed(reply))
    told.flush()


def framed(content: object) -> bytes:
    """A marshalled value behind its length in eight bytes."""
    body = marshal.dumps(content)  # type: ignore[arg-type]
    return len(body).to_bytes(8, "little") + body


def run(
    box: Box,
    confined: Confined,
    *,
    watching: "AbstractContextManager[None]" = contextlib.nullcontext(),  # noqa: B008
) -> dict[str, object]:
    """See a process into its box and to its end.

    Args:
        box: What to run.
        confined: The process.
        watching: Entered for as long as it is watched.

    Raises:
        Refused: This machine does not allow the confinement.
        OSError: The confinement or the command could not be started.
    """
    confined.channel.settimeout(_CONFINED_S)
    try:
        workspace = _receive_folder(confined.channel)
        _raise_if_failed(confined.channel.recv(4096))
    except (OSError, linux.Refused):
        confined.kill()
        confined.reap()
        raise
    with watching:
        ending: Ending = watch(confined, box)
    return {
        "status": ending.status,
        "killed_by": ending.killed_by,
        "output": ending.output,
        "wall_s": ending.wall_s,
        "cpu_s": ending.cpu_s,
        "full": confined.ended_full(workspace),
        "files": harvest(workspace, known=box.files),
    }


def in_namespaces(box: Box, hand_over: Callable[[int], None]) -> None:
    """Confine a process that was forked into namespaces of its own."""
    os.setsid()
    confine(box, hand_over=hand_over)


def become(
    box: Box,
    channel: _socket.socket,
    printed: int,
    start: Start,
    *,
    enter: Enter = in_namespaces,
) -> None:
    """In the child: turn into the confined command. Whatever goes wrong goes up the channel.

    Args:
        box: What to become.
        channel: To the supervisor.
        printed: Where standard output and error go.
        start: Called once everything is given up.
        enter: Gives everything up.
    """
    try:
        # Not from outside: by then the command may have come to its end.
        if box.cores:
            os.sched_setaffinity(0, box.cores)
        enter(box, lambda fd: _send_folder(channel, fd))
        nothing = os.open("/dev/null", os.O_RDONLY)
        for number, fd in enumerate((nothing, printed, printed)):
            os.dup2(fd, number)
        close_all_but(channel.fileno())
        start(box, channel)
    except BaseException as error:  # noqa: BLE001 -- there is nobody above to tell
        refused = isinstance(error, linux.Refused) or (
            isinstance(error, OSError) and error.errno in {errno.EPERM, errno.ENOSYS}
        )
        kind = b"refused " if refused else b""
        channel.send(_FAILED + kind + str(error).encode(errors="replace"))
    finally:
        os._exit(1)


def fork_confined() -> int:
    """Fork a child into namespaces of its own; it waits for `GO` before it does anything.

    Raises:
        Refused: This machine does not allow it.
    """
    try:
        return linux.fork_into(linux.NEW_NAMESPACES)
    except OSError as error:
        if error.errno not in _NOT_ALLOWED:
            raise
        raise linux.Refused(f"new namespaces: {error.strerror}") from error


def close_all_but(*kept: int) -> None:
    """Close every descriptor above standard error except these."""
    first = 3
    for fd in sorted(kept):
        os.closerange(first, fd)
        first = fd + 1
    os.closerange(first, _FAR)


def _fork(box: Box) -> Confined:
    """A child that becomes the command by itself."""
    output, printed = os.pipe()
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    pid = fork_confined()
    if pid == 0:
        ours.close()
        if theirs.recv(1) == GO:
            become(box, theirs, printed, execute)
        os._exit(1)
    theirs.close()
    os.close(printed)

    def reap() -> tuple[int, float]:
        _, status, usage = os.wait4(pid, 0)
        return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime

    child = Confined(pid, pidfd=os.pidfd_open(pid), channel=ours, output=output, reap=reap)
    try:
        map_user(pid)
    except linux.Refused:
        child.kill()
        reap()
        raise
    ours.send(GO)
    return child


def execute(box: Box, channel: _socket.socket) -> None:
    """Replace this process by the command of a box; the kernel closes the channel."""
    del channel
    os.execve(box.argv[0], box.argv, box.environment)


def _send_folder(channel: _socket.socket, fd: int) -> None:
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(4, sys.byteorder))
    channel.sendmsg([_FOLDER], [rights])


def _receive_folder(channel: _socket.socket) -> int:
    # One byte: what comes after it is another message.
    said, ancillary, _, _ = channel.recvmsg(1, _socket.CMSG_SPACE(4))
    if said == _FAILED:
        _raise_if_failed(said + channel.recv(4096))
    if not ancillary:
        raise OSError("the confined process died before its workspace was ready")
    return int.from_bytes(ancillary[0][2], sys.byteorder)


def _raise_if_failed(message: bytes) -> None:
    if message.startswith(_FAILED):
        reason = message[1:].decode(errors="replace")
        if reason.startswith("refused "):
            raise linux.Refused(reason.removeprefix("refused "))
        raise OSError(reason)
