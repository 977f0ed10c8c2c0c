r"""The launcher: reads a box from standard input, runs it, writes what was observed.

    python -I -S -c "import sys; sys.path.append(FOLDER of this package); \
                     from confinement.launch import main; main()"

Both ends of the pipes are the same interpreter, and the script reaches neither, so they speak
`marshal`: it carries bytes and costs no import. The reply is one of

    {"refused": why}    this machine does not allow the confinement
    {"failed": why}     the confinement or the command could not be started
    {"status", "killed_by", "output", "wall_s", "cpu_s", "full", "files"}
"""

# The C half of `socket`: the other half costs 10 ms of imports.
import _socket
import errno
import marshal
import os
import sys
from collections.abc import Callable

from . import linux
from .box import Box
from .confine import confine, map_user
from .harvest import harvest
from .supervise import watch

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is slow to import.
    from typing import BinaryIO

Start = Callable[[Box, _socket.socket], None]
"""Turns the confined process into the command and does not return. The channel closes as it does:
that is the sign that the command runs."""

_FAILED = b"!"
_FAR = 1 << 20
_NOT_ALLOWED = {errno.EPERM, errno.ENOSYS, errno.EINVAL, errno.ENOSPC, errno.EUSERS}
"""How the kernel says that namespaces or parts of them are not to be had."""


def main() -> None:
    """Serve one request; the command replaces the confined process."""
    serve(sys.stdin.buffer, sys.stdout.buffer, start=_execute)


def serve(asked: "BinaryIO", told: "BinaryIO", *, start: Start) -> None:
    """Serve the request that stands in one stream, and write the reply into the other."""
    box = Box(**marshal.load(asked))
    reply: dict[str, object]
    try:
        reply = run(box, start=start)
    except linux.Refused as error:
        reply = {"refused": str(error)}
    except OSError as error:
        reply = {"failed": str(error)}
    marshal.dump(reply, told)
    told.flush()


def run(box: Box, *, start: Start) -> dict[str, object]:
    """Run a box to its end.

    Args:
        box: What to run.
        start: Called in the confined process.

    Raises:
        Refused: This machine does not allow the confinement.
        OSError: The confinement or the command could not be started.
    """
    output, printed = os.pipe()
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    try:
        pid = linux.fork_into(linux.NEW_NAMESPACES)
    except OSError as error:
        if error.errno not in _NOT_ALLOWED:
            raise
        raise linux.Refused(f"new namespaces: {error.strerror}") from error
    if pid == 0:
        ours.close()
        _become(box, theirs, printed, start)
    theirs.close()
    os.close(printed)
    try:
        map_user(pid)
        if box.cores:
            os.sched_setaffinity(pid, box.cores)
        ours.send(b"mapped")
        workspace = _receive_folder(ours)
        _expect_start(ours)
    except (OSError, linux.Refused):
        os.kill(pid, linux.SIGKILL)
        os.waitpid(pid, 0)
        raise
    ending = watch(pid, output, box)
    space = os.fstatvfs(workspace)
    return {
        "status": ending.status,
        "killed_by": ending.killed_by,
        "output": ending.output,
        "wall_s": ending.wall_s,
        "cpu_s": ending.cpu_s,
        "full": space.f_bavail == 0 or space.f_favail == 0,
        "files": harvest(workspace, known=box.files),
    }


def _execute(box: Box, channel: _socket.socket) -> None:
    del channel  # Closed by the kernel.
    os.execve(box.argv[0], box.argv, box.environment)


def _become(box: Box, channel: _socket.socket, printed: int, start: Start) -> None:
    """In the child: turn into the confined command. Whatever goes wrong goes up the channel."""
    try:
        if not channel.recv(16):
            os._exit(1)
        os.setsid()
        confine(box, hand_over=lambda fd: _send_folder(channel, fd))
        nothing = os.open("/dev/null", os.O_RDONLY)
        for number, fd in enumerate((nothing, printed, printed)):
            os.dup2(fd, number)
        os.closerange(3, channel.fileno())
        os.closerange(channel.fileno() + 1, _FAR)
        start(box, channel)
    except BaseException as error:  # noqa: BLE001 -- there is nobody above to tell
        refused = isinstance(error, linux.Refused) or (
            isinstance(error, OSError) and error.errno in {errno.EPERM, errno.ENOSYS}
        )
        kind = b"refused " if refused else b""
        channel.send(_FAILED + kind + str(error).encode(errors="replace"))
    finally:
        os._exit(1)


def _send_folder(channel: _socket.socket, fd: int) -> None:
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(4, sys.byteorder))
    channel.sendmsg([b"workspace"], [rights])


def _receive_folder(channel: _socket.socket) -> int:
    text, ancillary, _, _ = channel.recvmsg(4096, _socket.CMSG_SPACE(4))
    _raise_if_failed(text)
    if not ancillary:
        raise OSError("the confined process died before its workspace was ready")
    return int.from_bytes(ancillary[0][2], sys.byteorder)


def _expect_start(channel: _socket.socket) -> None:
    _raise_if_failed(channel.recv(4096))


def _raise_if_failed(message: bytes) -> None:
    if message.startswith(_FAILED):
        reason = message[1:].decode(errors="replace")
        if reason.startswith("refused "):
            raise linux.Refused(reason.removeprefix("refused "))
        raise OSError(reason)
