"""The folder of a box without namespaces: its workspace, its data, what it may hold on disk.

    SCRATCH/box     the workspace; `data` in it is a link to the data
    SCRATCH/tmp     the script's home and temporary folder
    SCRATCH/data    a copy of the data, if the script's user cannot reach the data itself

What is in there was made by a script: no link of it is ever followed.
"""

# pathlib is slow to import.
# ruff: noqa: PTH101, PTH102, PTH103, PTH106, PTH115
# ruff: noqa: PTH116, PTH120, PTH123, PTH208, PTH211

import contextlib
import os
import stat

from .box import Box

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing and collections.abc are slow to import.
    from collections.abc import Iterable

_MORE_FILES = 20_000
_CHUNK = 1 << 20


def workspace(folder: str) -> str:
    """Where the script works."""
    return folder + "/box"


def temporary(folder: str) -> str:
    """Where it may put what it forgets."""
    return folder + "/tmp"


def data(box: Box) -> str | None:
    """Where its data is read; None: there is none."""
    return os.readlink(workspace(box.scratch) + "/data") if box.data else None


def fill(box: Box, *, user: tuple[int, int]) -> None:
    """Make the folders and the files of a box, which belong to the script's user.

    Raises:
        OSError: They cannot be written.
    """
    os.chmod(box.scratch, 0o711)
    for folder in (workspace(box.scratch), temporary(box.scratch)):
        os.mkdir(folder, 0o700)
    for path, content in box.files.items():
        target = f"{workspace(box.scratch)}/{path}"
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(content)
    if box.data is not None:
        shown = box.data
        if not _is_open_to(user, shown):
            shown = box.scratch + "/data"
            _copy(box.data, shown)
        os.symlink(shown, workspace(box.scratch) + "/data")
    if user != (os.geteuid(), os.getegid()):
        for top in (workspace(box.scratch), temporary(box.scratch)):
            for folder, _, names in os.walk(top):
                for path in (folder, *(f"{folder}/{name}" for name in names)):
                    os.chown(path, *user, follow_symlinks=False)


def closed_folder(user: tuple[int, int], path: str) -> str | None:
    """The first folder on the way to `path` that the user may not pass; None: it gets there.

    Also into it, if it is a folder itself.
    """
    if user[0] == os.geteuid():
        return None
    parts = os.path.realpath(path).split("/")
    for count in range(1, len(parts) + 1):
        above = "/".join(parts[:count]) or "/"
        found = os.stat(above)
        if not stat.S_ISDIR(found.st_mode):
            break
        shift = 6 if found.st_uid == user[0] else 3 if found.st_gid == user[1] else 0
        if not found.st_mode >> shift & 1:
            return above
    return None


def is_over(box: Box, *, removed: "Iterable[list[tuple[int, int]]]") -> bool:
    """Whether a box holds more bytes or files than it may.

    A folder that its own user may not list, or that lies too deep for a path, counts as too much:
    anything could be in there.

    Args:
        box: What it may use.
        removed: Number and bytes of files that are open but in no folder any more, by process.
    """
    held = sum(-(-len(content) // 4096) * 4096 for content in box.files.values())
    most_bytes, most_files = held + box.disk_bytes, _MORE_FILES + 2 * len(box.files)
    sizes = {number: size for files in removed for number, size in files}
    pending = [workspace(box.scratch), temporary(box.scratch)]
    entries = 0
    while pending:
        try:
            with os.scandir(pending.pop()) as inside:
                for entry in inside:
                    entries += 1
                    if entries > most_files:
                        return True
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                        continue
                    # It may be removed at this moment.
                    with contextlib.suppress(FileNotFoundError):
                        found = entry.stat(follow_symlinks=False)
                        sizes[found.st_ino] = 512 * found.st_blocks
        except (FileNotFoundError, NotADirectoryError):
            # It has just been removed.
            continue
        except OSError:
            return True
    return sum(sizes.values()) > most_bytes


def remove(folder: str) -> None:
    """Remove a folder and all that is in it, however deep or closed.

    Folders in it are moved up before they are emptied, so that no path grows long. No link is
    followed, even if a process should still be at work in there.
    """
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    unlike = os.urandom(8).hex()
    found = 0
    pending = ["."]
    try:
        while pending:
            name = pending.pop()
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
            try:
                for inner in os.listdir(fd):
                    if not _open_up(fd, inner):
                        os.unlink(inner, dir_fd=fd)
                        continue
                    found += 1
                    moved = f"{unlike}-{found}"
                    os.rename(inner, moved, src_dir_fd=fd, dst_dir_fd=top)
                    pending.append(moved)
            finally:
                os.close(fd)
            if name != ".":
                os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(folder)


def _open_up(above: int, name: str) -> bool:
    """Give a folder back to its owner, who needs that to move and list it; False: it is none."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
        return False
    fd = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
    os.chmod(f"/proc/self/fd/{fd}", 0o700)
    os.close(fd)
    return True


def _is_open_to(user: tuple[int, int], path: str) -> bool:
    return closed_folder(user, path) is None


def _copy(source: str, target: str) -> None:
    """Copy files and folders, and links as links, readable by all."""
    os.mkdir(target, 0o755)
    with os.scandir(source) as inside:
        for entry in inside:
            made = f"{target}/{entry.name}"
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), made)
            elif entry.is_dir():
                _copy(entry.path, made)
            elif entry.is_file():
                with open(entry.path, "rb") as file, open(made, "wb") as copied:
                    while chunk := file.read(_CHUNK):
                        copied.write(chunk)
