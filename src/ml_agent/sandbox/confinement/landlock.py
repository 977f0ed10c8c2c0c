"""A second wall around files and network, where the kernel has it (Linux 5.13 and later).

The new root already shows nothing that may be written; this holds if a mount of it ever should.
"""

import errno
import os
import struct

from . import linux

_EXECUTE, _WRITE, _READ, _READ_DIR = 1, 2, 4, 8
_EVERYTHING_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}
_TCP = 3
_ABSTRACT_SOCKETS_AND_SIGNALS = 3
_ASK_VERSION = 1
_RULE_PATH = 1


def apply(writable: list[str]) -> None:
    """Allow this process to read everything it sees, and to change only what is below `writable`.

    TCP is refused where the kernel can (6.7), and so are abstract sockets and signals that leave
    the box (6.12). A kernel without Landlock leaves all that to the namespaces.
    """
    abi = _version()
    if abi == 0:
        return
    everything = _EVERYTHING_BY_ABI[min(abi, 3)]
    asked = struct.pack("=QQQ", everything, _TCP, _ABSTRACT_SOCKETS_AND_SIGNALS)
    known = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = linux.call("landlock_create_ruleset", asked[:known], known, 0)
    _allow(ruleset, "/", _EXECUTE | _READ | _READ_DIR)
    _allow(ruleset, "/dev", _WRITE | _READ | _READ_DIR)
    for folder in writable:
        _allow(ruleset, folder, everything)
    linux.call("landlock_restrict_self", ruleset, 0)
    os.close(ruleset)


def _version() -> int:
    try:
        return linux.call("landlock_create_ruleset", None, 0, _ASK_VERSION)
    except OSError as error:
        if error.errno in {errno.ENOSYS, errno.EOPNOTSUPP}:
            return 0
        raise


def _allow(ruleset: int, path: str, rights: int) -> None:
    folder = os.open(path, os.O_PATH | os.O_DIRECTORY)
    linux.call("landlock_add_rule", ruleset, _RULE_PATH, struct.pack("=Qi", rights, folder), 0)
    os.close(folder)
