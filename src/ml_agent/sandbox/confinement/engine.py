"""The engine: a small process between a program and its zygotes. One connection is one run.

    python -I -S -c "import sys; sys.path.append(FOLDER of this package); \
                     from confinement.engine import main; main()"  CHANNEL

CHANNEL is the number of a socket. Each message on it names a kind of zygote, as marshalled
(executable, environment, forks, module...), and carries one end of a connection, on which a request
is read and answered as by `launch`, or with

    {"unavailable": why}    the libraries cannot be imported

                 program  ---channel--->  engine  --forks-->  supervisor   one a run, a few MB
                                            |                      |
                                            `--starts-->  zygote --forks-->  worker, soon the script

Workers are forked ahead of time, so that a run waits for no fork. A supervisor is a fork of this
small process and not of the large zygote, and no trusted process lives inside a box. Neither
engine nor zygote ever sees a request: nothing of one run can be left there for the next to find.
If the engine dies, all of them die.
"""

# The C halves: the others are slow to import.
import _signal  # type: ignore[import-not-found]
import _socket
import contextlib
import marshal
import os
import resource
import select
import sys

from . import launch, linux
from .box import Box
from .supervise import Confined

_CLOEXEC = _socket.MSG_CMSG_CLOEXEC
"""A zygote must inherit no connection: one that somebody still holds never ends."""
_AHEAD = 2
"""Workers of a kind that wait for a run."""
_DEATHS = 2
"""So many zygotes may die in a row, without a run in between, before runs are turned away."""
_ZYGOTE = "import sys; sys.path.append({!r}); from confinement.zygote import main; main()"
_PACKAGES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120


def main() -> None:
    """Serve until the other end of the channel is closed."""
    channel = _socket.socket(fileno=int(sys.argv[1]))
    # A zygote that held it too would make a dead engine look alive.
    os.set_inheritable(channel.fileno(), False)
    # Each run under way takes two.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # Nobody waits for children here: zygotes close their channels, supervisors their connections.
    _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)
    channel.send(b"ready")
    kinds: dict[bytes, _Kind] = {}
    poller = select.poll()
    poller.register(channel, select.POLLIN)
    runs: dict[int, int] = {}
    while True:
        for fd, _ in poller.poll():
            if fd in runs and _has_something(fd):
                # A script whose supervisor has ended, however that came about, ends too.
                poller.unregister(fd)
                _kill(runs[fd])
                os.close(runs.pop(fd))
                os.close(fd)
            elif fd == channel.fileno():
                said, connection = _next_connection(channel)
                if not said:
                    return
                if connection is None:
                    continue  # No descriptor is left for it: the kernel has closed it.
                if said not in kinds:
                    executable, environment, *arguments = marshal.loads(said)
                    kinds[said] = _Kind(executable, environment, arguments, poller, runs)
                kinds[said].pending.append(connection)
                kinds[said].serve()
            else:
                for kind in kinds.values():
                    if kind.channel is not None and kind.channel.fileno() == fd:
                        kind.serve()
                        break


def _next_connection(channel: _socket.socket) -> tuple[bytes, int | None]:
    said, ancillary, _, _ = channel.recvmsg(1 << 16, _socket.CMSG_SPACE(4), _CLOEXEC)
    if not said or not ancillary:
        return said, None
    return said, int.from_bytes(ancillary[0][2], sys.byteorder)


class _Worker:
    """A process that waits for a request: its number and its three descriptors."""

    def __init__(self, pid: int, fds: bytes):
        self.pid = pid
        self.channel, self.pidfd, self.told = (
            int.from_bytes(fds[i : i + 4], sys.byteorder) for i in (0, 4, 8)
        )

    def let_go(self) -> None:
        for fd in (self.channel, self.pidfd, self.told):
            os.close(fd)


class _Kind:
    """One set of libraries: its zygote, the workers that wait, and the runs that wait for them."""

    def __init__(
        self,
        executable: str,
        environment: dict[str, str],
        arguments: list[str],
        poller: "select.poll",
        runs: dict[int, int],
    ):
        self.pending: list[int] = []
        self.channel: _socket.socket | None = None
        self._command = [executable, "-c", _ZYGOTE.format(_PACKAGES)], environment, arguments
        self._poller = poller
        self._runs = runs
        """Of all kinds: the supervisor's pidfd, and the worker's."""
        self._ready = False
        self._standing: list[_Worker] = []
        self._asked = 0
        self._deaths = 0

    def serve(self) -> None:
        """Give waiting workers to waiting runs, and see to it that there will be more."""
        # First what the zygote has said: one that has died has taken its workers along.
        while self.channel is not None and _has_something(self.channel.fileno()):
            self.hear()
        while self.pending and self._standing:
            worker = self._standing.pop(0)
            if _has_something(worker.pidfd):
                worker.let_go()
                continue
            self._deaths = 0
            self._hand_over(self.pending.pop(0), worker)
        if self.channel is None and self.pending:
            self._start()
        wanted = len(self.pending) + _AHEAD
        while self._ready and self.channel and len(self._standing) + self._asked < wanted:
            self._asked += 1
            try:
                self.channel.send(b"fork")
            except OSError:
                return  # It has died: `hear` will be told.

    def _hand_over(self, connection: int, worker: "_Worker") -> None:
        try:
            supervisor = os.fork()
        except OSError as error:
            # The machine is short of processes or memory for the moment: this one run's bad luck.
            _reply(connection, {"failed": f"no supervisor: {error.strerror}"})
            worker.let_go()
            return
        if supervisor == 0:
            _supervise(connection, worker)
        os.close(connection)
        os.close(worker.channel)
        os.close(worker.told)
        try:
            pidfd = os.pidfd_open(supervisor)
        except ProcessLookupError:
            _kill(worker.pidfd)
            os.close(worker.pidfd)
            return
        self._runs[pidfd] = worker.pidfd
        self._poller.register(pidfd, select.POLLIN)

    def hear(self) -> None:
        """Take in what the zygote says."""
        assert self.channel is not None
        try:
            said, ancillary, _, _ = self.channel.recvmsg(4096, _socket.CMSG_SPACE(12), _CLOEXEC)
        except ConnectionResetError:
            said, ancillary = b"", []  # It died with something of ours unread.
        if ancillary:
            self._asked -= 1
            self._standing.append(_Worker(int(said), ancillary[0][2]))
        elif said == b"ready":
            self._ready = True
        elif said.startswith(b"refused "):
            self._turn_away({"refused": said[8:].decode(errors="replace")})
        elif said.startswith(b"failed "):
            self._turn_away({"failed": said[7:].decode(errors="replace")})
        elif said == b"worn out":
            # Runs under way are its children still; it ends by itself when they have.
            self._forget()
        elif said:
            self._turn_away({"unavailable": said.decode(errors="replace")})
        else:
            self._forget()
            self._deaths += 1
            if self._deaths > _DEATHS:
                self._turn_away({"unavailable": "the process that imports libraries keeps dying"})

    def _start(self) -> None:
        (executable, flag, code), environment, arguments = self._command
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        os.set_inheritable(theirs.fileno(), True)
        os.posix_spawn(
            executable,
            [executable, flag, code, str(theirs.fileno()), *arguments],
            environment,
            setsigdef=[_signal.SIGCHLD],
        )
        theirs.close()
        self.channel = ours
        self._poller.register(ours, select.POLLIN)

    def _turn_away(self, reply: dict[str, str]) -> None:
        for connection in self.pending:
            _reply(connection, reply)
        self.pending.clear()
        self._deaths = 0
        self._forget()

    def _forget(self) -> None:
        """Let go of the zygote and of the workers that wait; runs under way go on."""
        if self.channel is not None:
            self._poller.unregister(self.channel)
            self.channel.close()
        for worker in self._standing:
            worker.let_go()
        self.channel, self._ready, self._standing, self._asked = None, False, [], 0


def _reply(connection: int, reply: dict[str, str]) -> None:
    # Whoever asked may have gone.
    with contextlib.suppress(BrokenPipeError):
        os.write(connection, launch.framed(reply))
    os.close(connection)


def _has_something(fd: int) -> bool:
    """Something to read or, of a pidfd, that its process has ended."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(0))


def _kill(pidfd: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        _signal.pidfd_send_signal(pidfd, linux.SIGKILL)


def _supervise(connection: int, worker: _Worker) -> None:
    """In the supervisor: serve one request and end."""
    status = 1
    try:
        linux.die_with_parent()
        os.dup2(connection, 0)
        os.dup2(connection, 1)
        # Not those of other runs: a connection that somebody still holds never ends.
        launch.close_all_but(worker.channel, worker.pidfd, worker.told)
        with os.fdopen(0, "rb", closefd=False) as asked, os.fdopen(1, "wb", closefd=False) as told:
            request = asked.read(int.from_bytes(asked.read(8), "little"))
            box = Box(**marshal.loads(request))
            launch.answer(told, box, begin=lambda: _begin(worker, request))
        status = 0
    finally:
        os._exit(status)


def _begin(worker: _Worker, request: bytes) -> Confined:
    """Send a waiting worker on its way."""
    channel = _socket.socket(fileno=worker.channel)
    output, printed = os.pipe()
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, printed.to_bytes(4, sys.byteorder))
    try:
        channel.sendmsg([len(request).to_bytes(8, "little")], [rights])
        channel.sendall(request)
    except ConnectionError:
        # It died with its zygote just now; as in `reap`.
        os._exit(1)
    os.close(printed)

    def reap() -> tuple[int, float]:
        told = os.read(worker.told, 4096)
        if not told:
            # The zygote was killed, and the run with it; whoever asked sees that nothing comes.
            os._exit(1)
        status, cpu_s = marshal.loads(told)
        return status, cpu_s

    return Confined(worker.pid, pidfd=worker.pidfd, channel=channel, output=output, reap=reap)
