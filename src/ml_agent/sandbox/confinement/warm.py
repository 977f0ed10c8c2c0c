"""The warm parent: imports the libraries once, then forks a confined child per experiment.

    python -c "import sys; sys.path.append(FOLDER of this package); \
               from confinement.warm import main; main()"  CHANNEL  MODULE...

CHANNEL is the number of a socket. Once the modules are imported the parent says `ready` on it, or
what went wrong. Each message after that carries one end of a connection, on which a request is read
and answered as by the cold launcher. Every request is served by a child of its own, the supervisor,
which forks the confined script: no trusted process lives inside a box.

The memory of this process can be read by every script, so nothing secret may ever be in it: it
starts with the boxes' own environment, and never sees a request.
"""

import _socket
import gc
import importlib
import os
import signal
import sys

from . import launch, linux, script
from .box import Box


def main() -> None:
    """Serve until the other end of the channel is closed."""
    sys.path.pop()  # The folder of this package: no script's business.
    channel = _socket.socket(fileno=int(sys.argv[1]))
    try:
        for name in sys.argv[2:]:
            importlib.import_module(name)
        threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208 -- as in the package
        if threads != 1:
            raise RuntimeError(f"{threads} threads run after the imports, and no fork is safe then")
    except Exception as error:  # noqa: BLE001 -- whoever started this is told
        channel.send(f"{type(error).__name__}: {error}".encode()[:4000])
        return
    # Children that collect garbage would otherwise copy every page of it.
    gc.collect()
    gc.freeze()
    # Children are waited for by nobody here.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    channel.send(b"ready")
    while (connection := _next_connection(channel)) is not None:
        if os.fork() == 0:
            channel.close()
            _supervise(connection)
        os.close(connection)


def _next_connection(channel: _socket.socket) -> int | None:
    said, ancillary, _, _ = channel.recvmsg(16, _socket.CMSG_SPACE(4))
    if not said or not ancillary:
        return None
    return int.from_bytes(ancillary[0][2], sys.byteorder)


def _supervise(connection: int) -> None:
    """In the child: serve one request and end."""
    status = 1
    try:
        linux.die_with_parent()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(connection, 0)
        os.dup2(connection, 1)
        os.close(connection)
        with os.fdopen(0, "rb", closefd=False) as asked, os.fdopen(1, "wb", closefd=False) as told:
            launch.serve(asked, told, start=_run_here)
        status = 0
    finally:
        os._exit(status)


def _run_here(box: Box, channel: _socket.socket) -> None:
    """In the confined process: go on as the script. It is what follows the interpreter's name."""
    channel.close()
    os.environ.clear()
    os.environ.update(box.environment)
    os._exit(script.run(box.argv[1:], threads=box.threads))
