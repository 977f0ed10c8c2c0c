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

from ml_agent.core.errors import NoIsolation, SandboxError, boundary
from ml_agent.core.records import Limits
from ml_agent.sandbox.cold import ColdBox
from ml_agent.sandbox.contract import Sandbox
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
    print(name)

def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(60)
        os._exit(0)
    os.wait()

attempt("read a file outside", lambda: open(folder + "/canary").read())
attempt("wrote a file outside", lambda: open(folder + "/written", "w").close())
attempt("changed the interpreter", lambda: open(sys.prefix + "/" + token, "w").close())
attempt("reached the network", lambda: socket.create_connection(("127.0.0.1", port), 0.2).close())
attempt("signalled a process outside", lambda: os.kill(pid, 9))
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
    try:
        with boundary(SandboxError, "attacking a canary"):
            # It takes no snapshot, so this folder is never made.
            harm = attack(ColdBox(Snapshots(Path("unused"))), token)
    except NoIsolation:
        raise
    except SandboxError as error:
        raise no_isolation(str(error)) from error
    if harm:
        raise no_isolation(f"a test script came out of its box: {', '.join(harm)}")
    return "strong"


def attack(box: Sandbox, token: str) -> list[str]:
    """Let a script loose on a canary and return what it achieved; isolation is an empty list.

    Args:
        box: Where the script runs. It is overwritten.
        token: A word that nothing else on this machine contains.

    Raises:
        SandboxError: There is no box, or the attacking script did not run to its end.
    """
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
        waits = [sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()"]
        with subprocess.Popen(waits, stdin=subprocess.PIPE, process_group=0) as canary:
            box.write("probe.py", _PROBE.encode())
            port = str(listener.getsockname()[1])
            argv = ("probe.py", folder, port, str(canary.pid), token)
            seen = box.run(argv, limits=_LIMITS)
            killed = canary.poll() is not None
            canary.kill()
        *claims, last = seen.output.splitlines() or [""]
        if not seen.succeeded or last != "attacked":
            raise SandboxError(f"the attacking script ended early: {last}")
        facts = {
            "killed a process outside": killed,
            "connected to a port outside": _was_reached(listener),
            "wrote a file outside": (Path(folder) / "written").exists(),
            "outlived the run": _is_running(token),
        }
    return [*claims, *(fact for fact, holds in facts.items() if holds)]


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
