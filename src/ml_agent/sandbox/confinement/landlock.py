"""A second wall around files and network, where the kernel has it (Linux 5.13 and later).

The new root already shows nothing that may be written; this holds if a mount of it ever should.
"""

import errno
import os
import stat
import struct

from . import linux

EXECUTE, WRITE, READ, READ_DIR = 1, 2, 4, 8
_EVERYTHING_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}
_OF_FILES = EXECUTE | WRITE | READ | 1 << 14
_TCP = 3
_ABSTRACT_SOCKETS_AND_SIGNALS = 3
_ASK_VERSION = 1
_RULE_PATH = 1


def apply(writable: list[str]) -> None:
    """Allow this process to read everything it sees, and to change only what is below `writable`.

    TCP is refused where the kernel can (6.7), and so are abstract sockets and signals that leave
    the box (6.12). A kernel without Landlock leaves all that to the namespaces.
    """
    abi = version()
    if abi == 0:
        return
    ruleset = create(abi)
    allow(ruleset, "/", EXECUTE | READ | READ_DIR)
    allow(ruleset, "/dev", WRITE | READ | READ_DIR)
    for folder in writable:
        allow(ruleset, folder, everything(abi))
    enforce(ruleset)


def everything(abi: int) -> int:
    """All rights to files that a version of Landlock knows, up to what is used here."""
    return _EVERYTHING_BY_ABI[min(abi, 3)]


def create(abi: int) -> int:
    """A descriptor of rules that allow nothing yet: no file, and none of the rest for good."""
    asked = struct.pack("=QQQ", everything(abi), _TCP, _ABSTRACT_SOCKETS_AND_SIGNALS)
    known = 24 if abi >= 6 else 16 if abi >= 4 else 8
    return linux.call("landlock_create_ruleset", asked[:known], known, 0)


def enforce(ruleset: int) -> None:
    """Hold this process, and all it will ever start, to these rules; closes the descriptor."""
    linux.call("landlock_restrict_self", ruleset, 0)
    os.close(ruleset)


def version() -> int:
    """Which version of Landlock the kernel has; 0: none."""
    try:
        return linux.call("landlock_create_ruleset", None, 0, _ASK_VERSION)
    except OSError as error:
        if error.errno in {errno.ENOSYS, errno.EOPNOTSUPP}:
            return 0
        raise


def allow(ruleset: int, path: str, rights: int) -> None:
    """Allow these rights to a file, or to a folder and all that is below it.

    Raises:
        OSError: The path cannot be reached.
    """
    fd = os.open(path, os.O_PATH)
    if not stat.S_ISDIR(os.fstat(fd).st_mode):
        rights &= _OF_FILES
    linux.call("landlock_add_rule", ruleset, _RULE_PATH, struct.pack("=Qi", rights, fd), 0)
    os.close(fd)
