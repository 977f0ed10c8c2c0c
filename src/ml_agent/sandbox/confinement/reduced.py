"""Confinement where namespaces are forbidden: stock Docker, Ubuntu with its restriction.

    python -I -S -c "import sys; sys.path.append(FOLDER of this package); \
                     from confinement.reduced import main; main()"

Landlock closes all files but the interpreter, the system's libraries, the data and one folder, and
keeps signals inside; two filters of system calls close the rest. The script stays in the process
table, the network and the file system of whoever started it, so every single hole has to be closed,
where namespaces leave nothing to reach. Use it inside something disposable, such as a container.

Covered: reading and writing files, the network and all sockets with a name, signals, inspection and
settings of other processes, privileges, what is left behind, and all limits.
Not covered, besides what namespaces do not cover either: that files and processes exist, their
sizes, modes and times can be seen; names in a hidden folder can be listed if it lies in a visible
one; what it may read it may also lock; processes that the same user starts later count towards the
limit, and those that end meanwhile make room. See also `processes`.
Not offered: /tmp (there is TMPDIR), /dev/shm and therefore semaphores, sockets with a name, modes
and times of files (setting them does nothing).
"""

# pathlib is slow to import.
# ruff: noqa: PTH110, PTH112, PTH114, PTH208

import marshal
import os
import sys
from collections.abc import Callable

from . import calls, landlock, linux, processes, scratch, seccomp
from .box import Box
from .confine import data_bytes, limit, script_user
from .launch import tell

_LEAST_ABI = 6
_READ = landlock.EXECUTE | landlock.READ | landlock.READ_DIR
_DEVICES = ("null", "full", "random", "urandom")
_OF_THE_SYSTEM = ("/etc/ld.so.cache", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat")
_OF_ITSELF = ("fd", "status", "stat", "statm", "maps", "mem", "cmdline", "environ")


def main() -> None:
    """Serve one request."""
    box = Box(**marshal.load(sys.stdin.buffer))
    tell(sys.stdout.buffer, lambda: run(box))


def run(box: Box) -> dict[str, object]:
    """Run a box to its end; see `processes.run`.

    Raises:
        Refused: This machine does not allow the confinement.
        OSError: The confinement or the command could not be started.
    """
    user = script_user()
    for path in (*box.visible, box.argv[0], box.scratch):
        # The scratch folder itself is opened when it is filled.
        closed = scratch.closed_folder(user, path)
        if closed not in {None, box.scratch}:
            raise linux.Refused(
                f"scripts run as nobody when root starts them, and {closed} is closed to nobody: "
                f"chmod a+x {closed}"
            )
    box.environment |= {
        "HOME": scratch.temporary(box.scratch),
        "TMPDIR": scratch.temporary(box.scratch),
        "USER": "agent",
        # Without semaphores it works in one process and would warn of that in every output.
        "JOBLIB_MULTIPROCESSING": "0",
    }
    return processes.run(box, enter=confine, user=user)


def confine(box: Box, hand_over: Callable[[int], None]) -> None:
    """Confine this process to a box and make the workspace its current folder.

    Args:
        box: What is shown and allowed; its scratch folder has been filled. Memory is counted on
            top of what the process holds now.
        hand_over: Called with a descriptor of the workspace's folder.

    Raises:
        Refused: A part of the confinement is not allowed on this machine.
        OSError: A step failed.
    """
    held = data_bytes()
    abi = landlock.version()
    if abi < _LEAST_ABI:
        raise linux.Refused(
            f"Landlock has version {abi} here, and only from {_LEAST_ABI} on, Linux 6.12, does it "
            "keep signals inside the box"
        )
    # Paths are walked as who we are now.
    rules = _rules(box, abi)
    user, group = script_user()
    if user != os.geteuid():
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    os.umask(0o022)
    linux.die_with_parent()
    os.chdir(scratch.workspace(box.scratch))
    workspace = os.open(".", os.O_PATH | os.O_DIRECTORY)
    hand_over(workspace)
    os.close(workspace)
    others = processes.others()
    limit(box, held=held, processes=others + box.processes)
    linux.give_up_privileges()
    # Only now is /proc/self this user's own.
    for name in _OF_ITSELF:
        landlock.allow(rules, f"/proc/self/{name}", landlock.READ | landlock.READ_DIR)
    landlock.enforce(rules)
    seccomp.apply()
    calls.apply()


def _rules(box: Box, abi: int) -> int:
    rules = landlock.create(abi)
    for folder in (scratch.workspace(box.scratch), scratch.temporary(box.scratch)):
        landlock.allow(rules, folder, landlock.everything(abi))
    for name in _DEVICES:
        landlock.allow(rules, f"/dev/{name}", landlock.READ | landlock.WRITE)
    for path in _OF_THE_SYSTEM:
        if os.path.exists(path):
            landlock.allow(rules, path, landlock.READ)
    if (data := scratch.data(box)) is not None:
        landlock.allow(rules, data, landlock.READ | landlock.READ_DIR)
    for folder in box.visible:
        _show(rules, folder, box.hidden)
    return rules


def _show(rules: int, folder: str, hidden: list[str]) -> None:
    """Allow reading a folder except for what is hidden in it.

    A rule cannot be taken back further down. So what lies beside a hidden folder is allowed piece
    by piece, and on the way to it only listing, without which Python finds no module there.
    """
    folder = os.path.realpath(folder)
    inside = [path for path in hidden if (os.path.realpath(path) + "/").startswith(folder + "/")]
    if not inside:
        landlock.allow(rules, folder, _READ)
        return
    landlock.allow(rules, folder, landlock.READ_DIR)
    for name in os.listdir(folder):
        path = f"{folder}/{name}"
        # A link is followed when it is used, and what it leads to is judged then.
        if os.path.islink(path) or os.path.realpath(path) in map(os.path.realpath, inside):
            continue
        if os.path.isdir(path):
            _show(rules, path, inside)
        else:
            landlock.allow(rules, path, _READ)
