"""What a box without namespaces leaves behind if its launcher is killed, and how it goes."""

import contextlib
import fcntl
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ml_agent.sandbox.confinement.scratch import remove

_PREFIX = "ml-agent-box-"
_OLD_S = 600.0
"""A younger folder may not be locked yet."""
_PATIENCE_S = 5.0
_LOOKS = 3
"""One look may miss who is forked after it began by a process that is gone when its turn comes."""


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder for one run, removed afterwards whatever was put there.

    So are the folders of runs that were killed together with whoever would have removed them.
    """
    place = Path(tempfile.gettempdir())
    _sweep(place)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # For as long as we live; see `_sweep`.
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(fd)
        # The launcher removes it as well, for it may outlive us.
        with contextlib.suppress(FileNotFoundError):
            remove(str(folder))


def end_session(leader: int) -> None:
    """Kill what is left of the session that a killed launcher led.

    A script can leave neither its session nor its process group, and a group is killed at once. (In
    tier `none` it can leave both, and is then found no more.)
    """
    end = time.monotonic() + _PATIENCE_S
    nobody = 0
    while nobody < _LOOKS and time.monotonic() < end:
        groups = _groups(leader)
        nobody = 0 if groups else nobody + 1
        for group in groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        time.sleep(0.01)


def _groups(session: int) -> set[int]:
    found = set()
    # The newest first: they may be gone soonest.
    for entry in reversed(list(Path("/proc").iterdir())):
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                text = (entry / "stat").read_text()
                state, _, group, its_session = text.rpartition(")")[2].split()[:4]
                if int(its_session) == session and state not in {"Z", "X"}:
                    found.add(int(group))
    return found


def _sweep(place: Path) -> None:
    for folder in place.glob(f"{_PREFIX}*"):
        # Somebody else may be sweeping too, or it is not ours.
        with contextlib.suppress(OSError):
            seen = folder.lstat()
            if seen.st_uid != os.geteuid() or time.time() - seen.st_mtime < _OLD_S:
                continue
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(str(folder))
            finally:
                os.close(fd)
