"""Worlds that forbid namespaces, emulated: python worlds.py WORLD... CODE runs Python code there.

docker          the filter of system calls and the capabilities of a container as Docker starts it
no-namespaces   a machine whose administrator allows no user namespaces
no-landlock     a kernel from before Landlock

Exit code 77: this machine does not let us make such a world.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from ml_agent.sandbox.confinement import linux, seccomp
from ml_agent.sandbox.confinement.seccomp import ANY_BIT, EPERM, EQUAL

_ENOSYS = 38
_NEW_USER_NAMESPACE = 0x10000000
_DEFAULT_CAPABILITIES = 0xA80425FB
_REFUSED = ("unshare", "setns", "mount", "umount2", "pivot_root", "open_tree", "move_mount")
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38


def docker() -> None:
    column = ("x86_64", "aarch64").index(linux.MACHINE)
    numbers = [seccomp._REFUSED[name][column] for name in _REFUSED]
    lines = [seccomp.line(seccomp.LOAD, seccomp.NUMBER_AT)]
    for number in numbers:
        assert number is not None
        lines += seccomp.answer(EQUAL, number, EPERM)
    lines += seccomp.answer(EQUAL, 435, _ENOSYS)
    clone = seccomp._WATCHED[linux.MACHINE]["clone"]
    lines += seccomp.judge(clone, 0, seccomp.answer(ANY_BIT, linux.NEW_NAMESPACES, EPERM))
    _filter(lines)
    if os.geteuid() == 0:
        for number in range(64):
            if not _DEFAULT_CAPABILITIES >> number & 1:
                try:
                    linux.prctl(_PR_CAPBSET_DROP, number)
                except OSError:
                    break


def no_landlock() -> None:
    lines = [seccomp.line(seccomp.LOAD, seccomp.NUMBER_AT)]
    lines += seccomp.answer(EQUAL, 444, _ENOSYS)
    _filter(lines)


def no_namespaces() -> None:
    waiting, go = os.pipe()
    try:
        pid = linux.fork_into(_NEW_USER_NAMESPACE)
    except OSError as error:
        sys.stderr.write(str(error))
        sys.exit(77)
    if pid == 0:
        os.read(waiting, 1)
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
        return
    user, group = os.geteuid(), os.getegid()
    if user != 0:
        _tell(pid, "setgroups", "deny")
    # All of root's users, so that there is somebody to run scripts as.
    _tell(pid, "uid_map", "0 0 65536" if user == 0 else f"0 {user} 1")
    _tell(pid, "gid_map", "0 0 65536" if user == 0 else f"0 {group} 1")
    os.write(go, b"1")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _filter(lines: list[bytes]) -> None:
    if os.geteuid() != 0:
        linux.prctl(_PR_SET_NO_NEW_PRIVS, 1)
    seccomp.load(b"".join([*lines, seccomp.line(seccomp.RETURN, seccomp.ALLOW)]))


def _tell(pid: int, name: str, text: str) -> None:
    Path(f"/proc/{pid}/{name}").write_text(text)


WORLDS: dict[str, Callable[[], None]] = {
    "docker": docker,
    "no-namespaces": no_namespaces,
    "no-landlock": no_landlock,
}


def main() -> NoReturn:
    *names, code = sys.argv[1:]
    for name in names:
        WORLDS[name]()
    os.execv(sys.executable, [sys.executable, "-c", code])


if __name__ == "__main__":
    main()
