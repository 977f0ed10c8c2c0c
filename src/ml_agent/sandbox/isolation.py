"""Does isolation hold on this machine? Attack a canary for real, once per process.

Testing that namespaces can be made is not enough: on some systems that succeeds and a later step
fails, or holds less than it says.
"""

import functools
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from ml_agent.core.records import Limits
from ml_agent.sandbox.cold import ColdBox
from ml_agent.sandbox.refusal import no_isolation
from ml_agent.sandbox.snapshots import Snapshots

_PROBE = """
import os, socket, sys, time

folder, port, pid, token = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]

def attempt(name, attack):
    try:
        attack()
    except OSError:
        return
    print("HARM", name)

def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(60)
        os._exit(0)

attempt("read a file outside", lambda: open(folder + "/canary").read())
attempt("write a file outside", lambda: open(folder + "/written", "w").close())
attempt("change the interpreter", lambda: open(sys.prefix + "/" + token, "w").close())
attempt("reach the network", lambda: socket.create_connection(("127.0.0.1", port), 0.2).close())
attempt("signal a process outside", lambda: os.kill(pid, 9))
daemon()
print("attacked")
"""
_LIMITS = Limits(wall_s=20.0, cpu_s=20.0, memory_mib=512, disk_mib=16, processes=16)


@functools.cache
def isolation() -> str:
    """The tier of isolation that holds here, as recorded in every `Execution`.

    Returns:
        "strong": reading and writing outside, the network, signalling and outliving the run were
        all attempted from a box, and nothing came of it.

    Raises:
        NoIsolation: The box cannot be made, or it leaks; the message says what to do.
    """
    if sys.platform != "linux":
        raise no_isolation(f"this is {sys.platform}")
    token = f"canary-{secrets.token_hex(8)}"
    with (
        # Not /tmp: the box has one of its own, so looking there would prove nothing.
        tempfile.TemporaryDirectory(prefix="ml-agent-", dir="/var/tmp") as folder,
        socket.socket() as listener,
    ):
        # Open to everybody, so that nothing but the confinement stands in the way.
        Path(folder).chmod(0o777)
        (Path(folder) / "canary").write_text(token)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        with subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=-1) as canary:
            box = ColdBox(Snapshots(Path(folder) / "snapshots"))
            box.write("probe.py", _PROBE.encode())
            port = str(listener.getsockname()[1])
            argv = ("probe.py", folder, port, str(canary.pid), token)
            seen = box.run(argv, limits=_LIMITS)
            harm = [line for line in seen.output.splitlines() if line.startswith("HARM")]
            harm += ["HARM killed a process outside"] * (canary.poll() is not None)
            canary.kill()
        harm += ["HARM connected to a port outside"] * _was_reached(listener)
        harm += ["HARM wrote a file outside"] * (Path(folder) / "written").exists()
    harm += ["HARM outlived the run"] * _is_running(token)
    if harm or seen.output != "attacked\n":
        raise no_isolation(f"a test script did harm, or did not run: {(harm or [seen.output])[0]}")
    return ColdBox.tier


def _was_reached(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def _is_running(token: str) -> bool:
    for entry in os.scandir("/proc"):
        try:
            if entry.name.isdigit() and token.encode() in Path(entry, "cmdline").read_bytes():
                return True
        except OSError:
            continue
    return False
