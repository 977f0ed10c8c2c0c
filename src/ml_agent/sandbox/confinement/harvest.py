"""Take the files that may leave a box, after everything in it is dead.

Taken: regular files with one link, readable by their owner, with plain names, up to the caps. The
rest is dropped: links, pipes, sockets, devices, what is too large, too deep or too much.
"""

# pathlib is slow to import.
# ruff: noqa: PTH123, PTH208

import os
import stat

FILE_BYTES = 64 << 20
"""A larger file is dropped."""
TOTAL_BYTES = 128 << 20
FILES = 1000
_DEEP = 12
_LONG = 200


def harvest(workspace: int) -> dict[str, bytes]:
    """The files of a dead box's workspace, without data/, in the order of their names.

    Args:
        workspace: Descriptor of its folder.
    """
    taken: dict[str, bytes] = {}
    device = os.fstat(workspace).st_dev
    left = TOTAL_BYTES
    pending = [""]
    while pending and len(taken) < FILES:
        folder = pending.pop()
        fd = _open_folder(workspace, folder)
        if fd is None:
            continue
        try:
            for name in sorted(filter(_is_plain, os.listdir(fd))):
                path = folder + name
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
                if path == "data" or found.st_dev != device or len(taken) >= FILES:
                    continue
                if stat.S_ISDIR(found.st_mode) and path.count("/") < _DEEP:
                    pending.append(path + "/")
                elif _may_leave(found) and found.st_size <= left:
                    taken[path] = _read(fd, name, found.st_size)
                    left -= found.st_size
        finally:
            os.close(fd)
    return taken


def _open_folder(workspace: int, folder: str) -> int | None:
    """Open one component after the other, following no link; None if its owner may not read it."""
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=workspace)
    for name in filter(None, folder.split("/")):
        mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
        if mode & 0o500 != 0o500:
            os.close(fd)
            return None
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
        os.close(fd)
        fd = inner
    return fd


def _may_leave(found: os.stat_result) -> bool:
    regular = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
    return regular and bool(found.st_mode & 0o400) and found.st_size <= FILE_BYTES


def _read(folder: int, name: str, size: int) -> bytes:
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    with open(fd, "rb") as file:
        return file.read(size)


def _is_plain(name: str) -> bool:
    """Printable text and nothing that a path could mean."""
    return len(name) <= _LONG and name.isprintable() and name not in {".", ".."}
