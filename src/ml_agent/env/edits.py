"""Where new lines go in a script, forgiving about how far they are indented."""

import ast
import difflib
import textwrap
import threading
import warnings
from collections.abc import Sequence

_PARSING = threading.Lock()
"""Python's parser counts depth in one place for all threads, and warnings are filtered likewise:
two at once may end in a SystemError."""


def insert_code(lines: Sequence[str], first: int, last: int, new: Sequence[str]) -> list[str]:
    """Put `new` in the place of lines `first..last`, counted from 1, both included.

    Code is taken as it is written. Only if the script would then be no Python, and would be with
    all of `new` moved sideways to where the first replaced line stands, it is moved: a slip that
    costs a run and teaches nothing about machine learning.

    Args:
        lines: The script.
        first: The first line to be replaced.
        last: The last one; `first - 1` replaces none and inserts before `first`.
        new: What stands there afterwards.
    """
    written = [*lines[: first - 1], *new, *lines[last:]]
    if not new or is_python(written):
        return written
    place = next((line for line in lines[first - 1 :] if line.strip()), "")
    moved = [*lines[: first - 1], *_moved(new, place), *lines[last:]]
    return moved if is_python(moved) else written


def _moved(new: Sequence[str], place: str) -> list[str]:
    """The lines, the leftmost of them as far to the right as `place`."""
    flat = textwrap.dedent("\n".join(new))
    return textwrap.indent(flat, place[: len(place) - len(place.lstrip())]).split("\n")


def is_python(lines: Sequence[str]) -> bool:
    """Whether lines are a script that Python can read."""
    try:
        # The code's own doubtful escapes are no concern of whoever runs this program.
        with _PARSING, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # ValueError: null bytes. RecursionError and MemoryError: nested too deeply to be read.
        return False
    return True


def unified_diff(old: str, new: str, old_name: str, new_name: str) -> str:
    """What changed from one script to another, three lines of context around each change."""
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), old_name, new_name, lineterm=""
    )
    return "\n".join(lines) or "Nothing changed."
