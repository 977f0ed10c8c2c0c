"""A new root: read-only views of the interpreter and its libraries, and one small disk.

What is where:

    /box, /tmp, /dev/shm    the workspace and two private folders: one disk, one limit
    /box/data               the task's data, read-only
    the rest                read-only, or made up here (/etc), or not there at all
"""

# pathlib is slow to import.
# ruff: noqa: PTH102, PTH103, PTH106, PTH123, PTH211

import contextlib
import os
import stat

from . import linux
from .box import Box

WORKSPACE = "/box"
WRITABLE = [WORKSPACE, "/tmp", "/dev/shm"]
USER = 1000
"""Who the script believes to be. Outside it is the caller or, if that is root, nobody."""

_NEW = "/tmp"
"""Where the new root is put together; the private namespace hides what was there."""
_DISK = "/.disk"
_DEVICES = ("null", "full", "random", "urandom")
"""Not zero: mapped as shared, it is memory that no limit counts."""
_MORE_INODES = 20_000
_ETC = {
    "passwd": f"agent:x:{USER}:{USER}::/tmp:/bin/sh\n",
    "group": f"agent:x:{USER}:\n",
    "hosts": "127.0.0.1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


class Views:
    """Everything that will be shown, taken hold of while its paths can still be walked.

    Root may walk paths (a Python under /root) that nobody, who builds the new root, may not.
    """

    def __init__(self, box: Box):
        """Take hold of it.

        Raises:
            OSError: Something that must be shown cannot be reached.
        """
        self.shown = {path: linux.view(path) for path in box.visible}
        self.data = linux.view(box.data) if box.data else None
        self.devices = {name: linux.view(f"/dev/{name}", devices=True) for name in _DEVICES}
        self.linker_cache = b""
        with contextlib.suppress(FileNotFoundError), open("/etc/ld.so.cache", "rb") as file:
            self.linker_cache = file.read()


def enter(box: Box, views: Views) -> int:
    """Build the new root, fill the workspace and move in. Needs a mount namespace of its own.

    Returns:
        A descriptor of the workspace's folder. It stays readable when the namespace is gone.

    Raises:
        OSError: A mount is refused.
    """
    linux.make_mounts_private()
    options = "mode=755,size=16m,nr_inodes=4096"
    linux.mount("tmpfs", _NEW, flags=linux.MS_NOSUID | linux.MS_NODEV, options=options)
    _make_system(views)
    # First the private /tmp: an interpreter that lives below /tmp is shown inside it.
    workspace = _make_disk(box)
    for path, target in box.links.items():
        os.makedirs(_folder_of(_NEW + path), exist_ok=True)
        os.symlink(target, _NEW + path)
    for path, fd in views.shown.items():
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            os.makedirs(_NEW + path, exist_ok=True)
        else:
            os.makedirs(_folder_of(_NEW + path), exist_ok=True)
            _write(_NEW + path, b"")
        linux.attach(fd, _NEW + path)
    for path in box.hidden:
        flags = linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV
        linux.mount("tmpfs", _NEW + path, flags=flags, options="mode=755,size=4k,nr_inodes=1")
    if views.data is not None:
        linux.attach(views.data, f"{_NEW}{WORKSPACE}/data")
    # Containers that mask parts of /proc forbid a new one; scripts get along without.
    with contextlib.suppress(PermissionError):
        flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
        linux.mount("proc", f"{_NEW}/proc", flags=flags)
    linux.enter_root(_NEW)
    os.chdir(WORKSPACE)
    return workspace


def _make_system(views: Views) -> None:
    for folder in ("/proc", "/dev", "/etc", _DISK, *WRITABLE):
        os.mkdir(_NEW + folder)
    for name, fd in views.devices.items():
        _write(f"{_NEW}/dev/{name}", b"")
        linux.attach(fd, f"{_NEW}/dev/{name}")
    os.symlink("/proc/self/fd", f"{_NEW}/dev/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"{_NEW}/dev/{name}")
    for name, text in _ETC.items():
        _write(f"{_NEW}/etc/{name}", text.encode())
    _write(f"{_NEW}/etc/ld.so.cache", views.linker_cache)


def _make_disk(box: Box) -> int:
    page = 4096
    held = sum(-(-len(content) // page) * page for content in box.files.values())
    # Every file may need a folder of its own besides.
    inodes = _MORE_INODES + 2 * len(box.files)
    options = f"mode=755,size={held + box.disk_bytes},nr_inodes={inodes}"
    linux.mount("tmpfs", _NEW + _DISK, flags=linux.MS_NOSUID | linux.MS_NODEV, options=options)
    for folder in WRITABLE:
        part = _NEW + _DISK + folder.replace("/dev", "")
        os.mkdir(part)
        linux.attach(linux.view(part, read_only=False), _NEW + folder)
    linux.unmount(_NEW + _DISK)
    os.rmdir(_NEW + _DISK)
    for path, content in box.files.items():
        target = f"{_NEW}{WORKSPACE}/{path}"
        os.makedirs(_folder_of(target), exist_ok=True)
        _write(target, content)
    if box.data is not None:
        os.makedirs(f"{_NEW}{WORKSPACE}/data", exist_ok=True)
    return os.open(_NEW + WORKSPACE, os.O_PATH | os.O_DIRECTORY)


def _folder_of(path: str) -> str:
    return path.rpartition("/")[0]


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
