"""Which isolation holds on this machine? Attack a canary for real, once per process.

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
from typing import Any, Literal

from ml_agent.core.errors import NoIsolation, SandboxError, boundary
from ml_agent.core.records import Limits
from ml_agent.sandbox.cold import ColdBox
from ml_agent.sandbox.contract import Sandbox, Tier
from ml_agent.sandbox.refusal import in_container, no_isolation
from ml_agent.sandbox.snapshots import Snapshots

_PROBE = """
import os, socket, sys, time

folder, token = sys.argv[1:3]
port, pid, limit = map(int, sys.argv[3:])

def attempt(name, attack):
    try:
        attack()
    except OSError:
        return
    print(name)

def connect(address):
    socket.socket(socket.AF_UNIX).connect(address)

def change(path):
    for attack in (lambda: os.chmod(path, 0), lambda: os.utime(path, (1, 1))):
        try:
            attack()
        except OSError:
            pass

def multiply():
    # Far more than are allowed: where the kernel counts all of a user's processes, those of its
    # others that end meanwhile make room for a few.
    for _ in range(4 * limit):
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)

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
attempt("reached a socket outside", lambda: connect(folder + "/socket"))
attempt("reached an abstract socket outside", lambda: connect("\\0" + token))
attempt("inspected a process outside", lambda: open("/proc/%d/environ" % pid).read())
attempt("signalled a process outside", lambda: os.kill(pid, 9))
change(folder + "/canary")
daemon()
attempt("started more processes than allowed", multiply)
print("attacked")
"""
_LIMITS = Limits(wall_s=20.0, cpu_s=20.0, memory_mib=512, disk_mib=16, processes=16)


Wish = Literal["auto", "strong", "reduced", "none"]
"""What a user may ask for: "auto" is the best that holds."""


@functools.cache
def choose_tier(wanted: Wish) -> Tier:
    """The tier of isolation to use here: one whose walls were attacked and held.

    Args:
        wanted: "strong" and "reduced" are that tier and no other. "auto" is "strong" or, only
            inside a container, "reduced". "none" is the caller's own responsibility, never a
            fall-back.

    Raises:
        NoIsolation: It cannot be had, or it leaks; the message says what to do.
    """
    if wanted == "none":
        return "none"
    if sys.platform != "linux":
        raise no_isolation(f"this is {sys.platform}")
    if wanted != "auto":
        return _holding(wanted)
    try:
        return _holding("strong")
    except NoIsolation as strong:
        if not in_container():
            raise
        try:
            return _holding("reduced")
        except NoIsolation as reduced:
            # The fix of the better tier first: in a container it is often the only one there is.
            raise NoIsolation(f"{strong} Nor is there less: {reduced}") from reduced


def _holding(tier: Tier) -> Tier:
    token = f"canary-{secrets.token_hex(8)}"
    try:
        with boundary(SandboxError, "attacking a canary"):
            # It takes no snapshot, so this folder is never made.
            harm = attack(ColdBox(Snapshots(Path("unused")), tier=tier), token)
    except NoIsolation:
        raise
    except SandboxError as error:
        raise no_isolation(str(error), tier=tier) from error
    if harm:
        reason = f"a test script came out of its box: {', '.join(harm)}"
        raise no_isolation(reason, tier=tier)
    return tier


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
        socket.socket(socket.AF_UNIX) as by_path,
        socket.socket(socket.AF_UNIX) as by_name,
    ):
        # Open to everybody, so that nothing but the confinement stands in the way.
        Path(folder).chmod(0o777)
        (Path(folder) / "canary").write_text(token)
        (Path(folder) / "canary").chmod(0o777)
        listeners = (listener, by_path, by_name)
        addresses: list[Any] = [("127.0.0.1", 0), f"{folder}/socket", f"\0{token}"]
        for one, address in zip(listeners, addresses, strict=True):
            one.bind(address)
            one.listen()
            one.setblocking(False)
        (Path(folder) / "socket").chmod(0o777)
        before = _looks(Path(folder) / "canary")
        waits = [sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()"]
        with subprocess.Popen(waits, stdin=subprocess.PIPE, process_group=0) as canary:
            box.write("probe.py", _PROBE.encode())
            port = str(listener.getsockname()[1])
            limit = str(_LIMITS.processes)
            argv = ("probe.py", folder, token, port, str(canary.pid), limit)
            seen = box.run(argv, limits=_LIMITS)
            killed = canary.poll() is not None
            canary.kill()
        *claims, last = seen.output.splitlines() or [""]
        if not seen.succeeded or last != "attacked":
            raise SandboxError(f"the attacking script ended early: {last}")
        facts = {
            "killed a process outside": killed,
            "connected to a socket outside": any(map(_was_reached, listeners)),
            "changed a file outside": _looks(Path(folder) / "canary") != before,
            "wrote a file outside": (Path(folder) / "written").exists(),
            "outlived the run": _is_running(token),
        }
    return [*claims, *(fact for fact, holds in facts.items() if holds)]


def _looks(path: Path) -> tuple[int, int, int]:
    seen = path.stat()
    return seen.st_mode, seen.st_mtime_ns, seen.st_size


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
