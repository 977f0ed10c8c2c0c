"""The zygote: imports the libraries once, then forks workers that wait for a script.

    python -c "import sys; sys.path.append(FOLDER of this package); \
               from confinement.zygote import main; main()"  CHANNEL  FORKS  MODULE...

CHANNEL is the number of a socket to the engine that started it. Once the modules are imported and
warm the zygote says `ready` on it, or what went wrong. Each message after that asks for a worker: a
process in namespaces of its own that waits for a request. The answer carries the worker's process
id and three descriptors: its channel, a pidfd, and a pipe on which its end will be told. When the
channel is closed it forks no more, and ends when its last worker has. After FORKS of them, or if
it is not as clean as it was, it says `worn out` instead.

Every script can read the memory of this process, so nothing secret may ever be in it: it starts
with the boxes' own environment and sees neither requests nor what comes of them.
"""

# Slow imports do not matter here: it imports far slower things.
# ruff: noqa: PTH208

import _socket
import contextlib
import gc
import importlib
import marshal
import os
import select
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path

from . import launch, linux, script, warmup
from .box import Box
from .confine import map_user

_RESERVED_BYTES = 64 << 20
"""About what the modules' objects take."""
_OBJECT_BYTES = 432
"""The largest objects that Python keeps in arenas have 512."""


def main() -> None:
    """Serve until the channel is closed and the last worker has ended."""
    sys.path.pop()  # The folder of this package: no script's business.
    linux.die_with_parent()
    channel = _socket.socket(fileno=int(sys.argv[1]))
    try:
        _prepare(sys.argv[3:])
    except Exception as error:  # noqa: BLE001 -- whoever started this is told
        channel.send(f"{type(error).__name__}: {error}".encode()[:4000])
        return
    channel.send(b"ready")
    _Zygote(channel, forks=int(sys.argv[2])).serve()


def _prepare(modules: list[str]) -> None:
    pins = _reserve()
    for name in modules:
        importlib.import_module(name)
    warmup.warm_up()
    # Finalizers that libraries leave for the interpreter's end would cost every worker 70 ms
    # (torch); scripts' own still run.
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]
        finalizer.atexit = False
    if _threads() != 1:
        raise RuntimeError(
            f"{_threads()} threads run after the imports ({_named()}), and no fork is safe then"
        )
    del pins
    # Workers that collect garbage would otherwise copy every page of it.
    gc.collect()
    gc.freeze()
    # Twice: pages that were touched just now are passed over at first.
    linux.use_huge_pages()
    linux.use_huge_pages()


def _reserve() -> list[bytes | None]:
    """Have Python take memory for its objects in one piece, before libraries break it up.

    One piece is what huge pages need. Python gives an arena of 1 MiB back when it is empty, so that
    something small stays in each until the modules have moved in.
    """
    pins: list[bytes | None] = [None] * (_RESERVED_BYTES // _OBJECT_BYTES)
    for place in range(len(pins)):
        pins[place] = bytes(_OBJECT_BYTES - sys.getsizeof(b""))
    return pins[:: (1 << 19) // _OBJECT_BYTES]


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _named() -> str:
    """The threads' names, which say what library started them."""
    threads = Path("/proc/self/task").iterdir()
    return ", ".join(sorted((thread / "comm").read_text().strip() for thread in threads))


class _Zygote:
    """Forks on demand, and tells how each worker ended."""

    def __init__(self, channel: _socket.socket, *, forks: int):
        self._channel = channel
        self._forks_left = forks
        self._workers: dict[int, tuple[int, int]] = {}
        """By pidfd: process id, and the pipe on which its end is told."""

    def serve(self) -> None:
        poller = select.poll()
        poller.register(self._channel, select.POLLIN)
        open_ = True
        while open_ or self._workers:
            for fd, _ in poller.poll():
                if fd != self._channel.fileno():
                    poller.unregister(fd)
                    self._bury(fd)
                elif self._is_asked():
                    pidfd = self._fork()
                    if pidfd is not None:
                        poller.register(pidfd, select.POLLIN)
                else:
                    poller.unregister(fd)
                    open_ = False

    def _is_asked(self) -> bool:
        """Take in one request for a worker; False: there will be no more."""
        try:
            return bool(self._channel.recv(16))
        except ConnectionResetError:
            return False  # The engine let go with something of ours unread.

    def _fork(self) -> int | None:
        """Fork a worker and hand it over; returns its pidfd, None if it was refused."""
        self._forks_left -= 1
        if self._forks_left < 0 or _threads() != 1:
            self._say(b"worn out")
            return None
        theirs, ours = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        told, tell = os.pipe()
        try:
            pid = launch.fork_confined()
        except (linux.Refused, OSError) as error:
            kind = "refused" if isinstance(error, linux.Refused) else "failed"
            self._say(f"{kind} {error}".encode())
            for end in (theirs, ours):
                end.close()
            os.close(told)
            os.close(tell)
            return None
        if pid == 0:
            _work(ours)
        pidfd = os.pidfd_open(pid)
        try:
            map_user(pid)
        except linux.Refused as error:
            self._say(f"refused {error}".encode())
        else:
            theirs.send(launch.GO)
            fds = b"".join(fd.to_bytes(4, sys.byteorder) for fd in (theirs.fileno(), pidfd, told))
            self._say(str(pid).encode(), [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fds)])
        # A worker that was not handed over sees the end of its channel, and ends.
        ours.close()
        theirs.close()
        os.close(told)
        self._workers[pidfd] = pid, tell
        return pidfd

    def _say(self, message: bytes, rights: Sequence[tuple[int, int, bytes]] = ()) -> None:
        # An engine that has let go of this zygote still waits for its last runs to end.
        with contextlib.suppress(ConnectionError):
            self._channel.sendmsg([message], rights)

    def _bury(self, pidfd: int) -> None:
        pid, tell = self._workers.pop(pidfd)
        _, status, usage = os.wait4(pid, 0)
        seen = os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
        # Nobody may be waiting for it any more.
        with contextlib.suppress(BrokenPipeError):
            os.write(tell, marshal.dumps(seen))
        os.close(tell)
        os.close(pidfd)


def _work(channel: _socket.socket) -> None:
    """In the worker: wait for a request and become the script it names."""
    try:
        linux.die_with_parent()
        # Not those of its siblings: a pipe that somebody still holds never ends.
        launch.close_all_but(channel.fileno())
        if channel.recv(1) == launch.GO and (asked := _receive(channel)) is not None:
            box, printed = asked
            launch.become(box, channel, printed, _run_here)
    finally:
        os._exit(1)


def _receive(channel: _socket.socket) -> tuple[Box, int] | None:
    """A request and where its output goes; None: whoever held the channel is gone."""
    head, ancillary, _, _ = channel.recvmsg(8, _socket.CMSG_SPACE(4), _socket.MSG_WAITALL)
    if len(head) < 8 or not ancillary:
        return None
    printed = int.from_bytes(ancillary[0][2], sys.byteorder)
    body = channel.recv(size := int.from_bytes(head, "little"), _socket.MSG_WAITALL)
    return (Box(**marshal.loads(body)), printed) if len(body) == size else None


def _run_here(box: Box, channel: _socket.socket) -> None:
    """In the confined process: go on as the script. It is what follows the interpreter's name."""
    channel.close()
    os.environ.clear()
    os.environ.update(box.environment)
    os._exit(script.run(box.argv[1:], threads=box.threads))
