"""Take the files that may leave a box, after everything in it is dead.

Taken: regular files with one link, readable by their owner, with plain names, up to the caps. The
rest is dropped: links, pipes, sockets, devices, what is too large, too deep or too much.
"""

# pathlib is slow to import.
# ruff: noqa: PTH123, PTH208

import os
import stat
from collections.abc import Container

FILE_BYTES = 64 << 20
"""A larger file is dropped."""
TOTAL_BYTES = 128 << 20
FILES = 1000
_DEEP = 12
_LONG = 200


def harvest(workspace: int, known: Container[str]) -> dict[str, bytes]:
    """The files of a dead box's workspace, without data/.

    Args:
        workspace: Descriptor of its folder.
        known: Paths that were there before; new files do not push them out.
    """
    taken: dict[str, bytes] = {}
    left = TOTAL_BYTES
    sizes = _may_leave(workspace)
    for path in sorted(sizes, key=lambda path: (path not in known, path)):
        folder, slash, name = path.rpartition("/")
        if len(taken) >= FILES or sizes[path] > left:
            continue
        fd = _open_folder(workspace, folder + slash)
        if fd is not None:
            taken[path] = _read(fd, name, sizes[path])
            left -= sizes[path]
            os.close(fd)
    return taken


def _may_leave(workspace: int) -> dict[str, int]:
    """Sizes in bytes of all files that may leave, by path. The disk's limits bound how many."""
    sizes: dict[str, int] = {}
    device = os.fstat(workspace).st_dev
    pending = [""]
    while pending:
        folder = pending.pop()
        fd = _open_folder(workspace, folder)
        if fd is None:
            continue
        for name in filter(_is_plain, os.listdir(fd)):
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            path = folder + name
            if path == "data" or found.st_dev != device:
                continue
            if stat.S_ISDIR(found.st_mode) and path.count("/") < _DEEP:
                pending.append(path + "/")
            elif _is_takeable(found):
                sizes[path] = found.st_size
        os.close(fd)
    return sizes


def _open_folder(workspace: int, folder: str) -> int | None:
    """Open one component after the other, following no link; None if its owner may not read it.

    Root could read it all the same, but what is taken must not depend on who runs this.
    """
    fd = os.dup(workspace)
    for name in (*filter(None, folder.split("/")), "."):
        outer = fd
        try:
            if os.fstat(outer).st_mode & 0o500 != 0o500:
                return None
            how = os.O_RDONLY if name == "." else os.O_PATH
            fd = os.open(name, how | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=outer)
        finally:
            os.close(outer)
    return fd


def _is_takeable(found: os.stat_result) -> bool:
    regular = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
    return regular and bool(found.st_mode & 0o400) and found.st_size <= FILE_BYTES


def _read(folder: int, name: str, size: int) -> bytes:
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    with open(fd, "rb") as file:
        return file.read(size)


def _is_plain(name: str) -> bool:
    """Printable text and nothing that a path could mean."""
    return len(name) <= _LONG and name.isprintable() and name not in {".", ".."}
