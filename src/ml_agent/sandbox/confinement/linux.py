"""The system calls that confinement needs and Python does not offer, through ctypes."""

import ctypes
import os

NEW_NAMESPACES = (
    0x00020000  # mount
    | 0x04000000  # uts
    | 0x08000000  # ipc
    | 0x10000000  # user
    | 0x20000000  # pid
    | 0x40000000  # net
)
SIGKILL = 9
"""Not from `signal`: that imports `enum`."""

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
_MS_PRIVATE_ALL = 0x4000 | 1 << 18
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4
_AT_EMPTY_PATH, _AT_RECURSIVE, _AT_FDCWD = 0x1000, 0x8000, -100
_MOVE_FROM_FD = 4
_HUGE, _MADV_COLLAPSE = 2 << 20, 25
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38

MACHINE = os.uname().machine
_OWN_NUMBERS = {
    "x86_64": {"clone": 56, "pivot_root": 155, "capset": 126, "mount": 165, "umount": 166},
    "aarch64": {"clone": 220, "pivot_root": 41, "capset": 91, "mount": 40, "umount": 39},
}
_SHARED_NUMBERS = {
    "open_tree": 428,
    "move_mount": 429,
    "mount_setattr": 442,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}

# PyDLL keeps the interpreter lock: it must be held across a fork.
_libc = ctypes.PyDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class Refused(Exception):
    """The kernel, or whoever set this machine up, does not allow a step of confinement."""


def call(name: str, *args: object) -> int:
    """A system call by name.

    Raises:
        OSError: It failed; the message names the call.
        Refused: This kind of machine has no table here.
    """
    numbers = _SHARED_NUMBERS | _OWN_NUMBERS.get(MACHINE, {})
    if name not in numbers:
        raise Refused(f"processor {MACHINE!r} is not supported, only {', '.join(_OWN_NUMBERS)}")
    wide = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    result = int(_libc.syscall(ctypes.c_long(numbers[name]), *wide))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def prctl(option: int, *args: object) -> None:
    """Set something of this process.

    Raises:
        OSError: It cannot be set.
    """
    wide = [ctypes.c_ulong(arg) if isinstance(arg, int) else arg for arg in args]
    wide += [ctypes.c_ulong(0)] * (4 - len(wide))
    if _libc.prctl(ctypes.c_int(option), *wide) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl {option}: {os.strerror(code)}")


def fork_into(namespaces: int) -> int:
    """`os.fork`, but the child is the first process of new namespaces. Single-threaded only.

    Not covered: handlers of pthread_atfork do not run in the child.

    Returns:
        The child's process id; 0 in the child.
    """
    api = ctypes.pythonapi
    api.PyOS_BeforeFork()
    try:
        # The last four arguments are unused here, so their order, which differs, does not matter.
        pid = call("clone", namespaces | 17, 0, 0, 0, 0)
    except OSError:
        api.PyOS_AfterFork_Parent()
        raise
    if pid == 0:
        api.PyOS_AfterFork_Child()
    else:
        api.PyOS_AfterFork_Parent()
    return pid


def make_mounts_private() -> None:
    """No mount of this namespace is seen outside, nor the other way round."""
    call("mount", b"none", b"/", None, _MS_PRIVATE_ALL, None)


def mount(kind: str, target: str, *, flags: int, options: str = "") -> None:
    """Mount a new file system of this kind.

    Raises:
        OSError: It is refused.
    """
    call("mount", kind.encode(), os.fsencode(target), kind.encode(), flags, options.encode())


def unmount(target: str) -> None:
    """Detach a mount; it disappears when its last user is gone."""
    call("umount", os.fsencode(target), 2)


def view(path: str, *, read_only: bool = True, devices: bool = False) -> int:
    """A new mount of what stands at `path`, all below it included, not yet attached anywhere.

    Returns:
        Its file descriptor, for `attach`.

    Raises:
        OSError: The path cannot be reached.
    """
    flags = os.O_CLOEXEC | _AT_RECURSIVE | 1
    try:
        fd = call("open_tree", _AT_FDCWD, os.fsencode(path), flags)
    except OSError as error:
        raise OSError(error.errno, f"{path}: {error.strerror}") from None
    attributes = _ATTR_NOSUID
    attributes |= _ATTR_RDONLY if read_only else 0
    attributes |= 0 if devices else _ATTR_NODEV
    set_attributes(fd, attributes, recursive=True)
    return fd


def set_attributes(fd: int, attributes: int, *, recursive: bool) -> None:
    """Restrict the mount behind a file descriptor."""
    packed = attributes.to_bytes(8, "little") + bytes(24)
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    call("mount_setattr", fd, b"", flags, packed, len(packed))


def attach(fd: int, target: str) -> None:
    """Attach a `view` at `target`, and close the descriptor."""
    call("move_mount", fd, b"", _AT_FDCWD, os.fsencode(target), _MOVE_FROM_FD)
    os.close(fd)


def enter_root(folder: str) -> None:
    """Make a mount the root of this namespace, read-only, and drop the old root."""
    os.chdir(folder)
    call("pivot_root", b".", b".")
    unmount(".")
    os.chdir("/")
    top = os.open("/", os.O_PATH | os.O_DIRECTORY)
    set_attributes(top, _ATTR_RDONLY, recursive=False)
    os.close(top)


def die_with_parent() -> None:
    """Be killed when the process that forked this one dies."""
    prctl(_PR_SET_PDEATHSIG, SIGKILL)


def use_huge_pages() -> None:
    """Gather this process's memory in pages of 2 MiB: a fork copies a table of pages.

    An offer, not a need: kernels before 6.1 cannot, and holes stay as they are.
    """
    with open("/proc/self/maps", encoding="ascii") as file:  # noqa: PTH123
        maps = [line.split() for line in file]
    for span, rights, *_, name in (words for words in maps if words[4] == "0"):
        if not rights.startswith("rw") or name not in {"0", "[heap]"}:
            continue
        first, end = (int(word, 16) for word in span.split("-"))
        for start in range(-(-first // _HUGE) * _HUGE, end - _HUGE + 1, _HUGE):
            _libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(_HUGE), _MADV_COLLAPSE)


def give_up_privileges() -> None:
    """No capabilities, and no program can give any back."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    header = (0x20080522).to_bytes(4, "little") + bytes(4)
    call("capset", header, bytes(24))
    # After a change of user the kernel hides /proc/self from the process itself; show it again.
    prctl(_PR_SET_DUMPABLE, 1)
