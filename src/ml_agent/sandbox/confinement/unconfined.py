"""No confinement at all: a plain process in a temporary folder. For scripts that are trusted.

    python -I -S -c "import sys; sys.path.append(FOLDER of this package); \
                     from confinement.unconfined import main; main()"

Covered: wall and processor time, memory, disk and output, as far as looking every now and then
goes; the script's processes are ended afterwards.
Not covered: everything else. The script can read and change whatever its user can.
"""

import marshal
import os
import sys
from collections.abc import Callable

from . import linux, processes, scratch
from .box import Box
from .launch import tell


def main() -> None:
    """Serve one request."""
    box = Box(**marshal.load(sys.stdin.buffer))
    tell(sys.stdout.buffer, lambda: run(box))


def run(box: Box) -> dict[str, object]:
    """Run a box to its end; see `processes.run`.

    Raises:
        OSError: The command could not be started.
    """
    box.environment |= {
        "HOME": scratch.temporary(box.scratch),
        "TMPDIR": scratch.temporary(box.scratch),
    }
    return processes.run(box, enter=_enter, user=(os.geteuid(), os.getegid()))


def _enter(box: Box, hand_over: Callable[[int], None]) -> None:
    linux.die_with_parent()
    os.chdir(scratch.workspace(box.scratch))
    workspace = os.open(".", os.O_PATH | os.O_DIRECTORY)
    hand_over(workspace)
    os.close(workspace)
