"""Runs inside a box: look for files that no box may hold.

Sent there by the admission checks (`tasks.checks`) as a plain script, so it needs nothing but the
standard library. wanted.json beside it holds {"digests": {sha256: what it is}, "sizes": [bytes],
"paths": [absolute paths outside]}. It prints one line `REACHED what: path` for each file found
and ends with `LOOKED AT n FILES`; without that last line it says nothing.
"""

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

SKIPPED = {"/proc", "/sys", "/dev"}
"""Not files of a disk; ways back to the host through /proc are tried by name."""


def files(top: str) -> Iterator[tuple[str, int]]:
    """Every regular file below `top` and its size, links not followed."""
    for folder, subfolders, names in os.walk(top):
        subfolders[:] = [n for n in subfolders if str(Path(folder, n)) not in SKIPPED]
        for name in names:
            path = str(Path(folder, name))
            try:
                found = os.lstat(path)
            except OSError:
                continue
            if stat.S_ISREG(found.st_mode):
                yield path, found.st_size


def tops() -> tuple[str, ...]:
    """Where a look begins: the root or, where that is closed, all that a box is known to show."""
    try:
        os.listdir("/")  # noqa: PTH208
    except PermissionError:
        return (".", "data", sys.prefix, sys.base_prefix, "/usr")
    return ("/",)


def outside(path: str) -> Iterator[str]:
    """Ways to an absolute path of the host."""
    yield path
    for process in Path("/proc").glob("[0-9s]*"):  # numbers, and self
        yield f"{process}/root{path}"
        yield f"{process}/cwd{'/..' * 12}{path}"


def digest(path: str) -> str | None:
    """sha256 of a file; None where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def look() -> None:
    """Print what can be reached."""
    wanted = json.loads(Path("wanted.json").read_text())
    count = 0
    for path, size in chain.from_iterable(map(files, tops())):
        count += 1
        if size in wanted["sizes"] and (what := wanted["digests"].get(digest(path))):
            sys.stdout.write(f"REACHED {what}: {path}\n")
    for host_path in wanted["paths"]:
        for path in outside(host_path):
            if digest(path) is not None:
                sys.stdout.write(f"REACHED by its path: {path}\n")
    sys.stdout.write(f"LOOKED AT {count} FILES\n")


if __name__ == "__main__":
    look()
