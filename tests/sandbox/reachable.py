"""Root's own Python made reachable for nobody, who scripts of the reduced tier run as.

A Python below a closed home (/root) is something that only a mount can open without changing the
machine: the tests see the folders that lead to it as open, in a mount namespace of their own.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ml_agent.sandbox import cold
from ml_agent.sandbox.confinement import linux, scratch

_CLONE_NEWNS, _CLONE_FS = 0x00020000, 0x00000200
NOBODY = (65534, 65534)
_libc = ctypes.CDLL(None, use_errno=True)


def closed_folders() -> list[str]:
    """Folders on the way to this Python that nobody may not pass."""
    wanted = (scratch.closed_folder(NOBODY, path) for path in cold._visible())
    return sorted({folder for folder in wanted if folder})


@contextmanager
def open_python() -> Iterator[None]:
    """Let nobody reach this Python, in this thread and all it starts."""
    closed = closed_folders()
    if os.geteuid() != 0 or not closed:
        yield
        return
    outside = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY)
    if _libc.unshare(_CLONE_NEWNS) != 0:
        pytest.skip("nobody cannot reach this Python, and no mount namespace is to be had")
    try:
        linux.make_mounts_private()
        for folder in closed:
            needed = [path for path in cold._visible() if path.startswith(folder + "/")]
            files = [path for path in needed if Path(path).is_file()]
            views = {path: linux.view(path, read_only=False, devices=True) for path in needed}
            linux.mount("tmpfs", folder, flags=0, options="mode=755,size=16m")
            for path, view in views.items():
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(path).touch() if path in files else Path(path).mkdir(exist_ok=True)
                linux.attach(view, path)
        assert closed_folders() == []
        yield
    finally:
        # What threads of a test shared with this one a moment ago stands in the way otherwise.
        assert _libc.unshare(_CLONE_FS) == 0
        assert _libc.setns(outside, _CLONE_NEWNS) == 0
        os.close(outside)


if __name__ == "__main__":
    # python reachable.py COMMAND...: run a command where this Python can be reached.
    with open_python():
        sys.exit(os.spawnvp(os.P_WAIT, sys.argv[1], sys.argv[1:]))
