"""The tasks that ship with the package, and how a task is found by name or folder."""

import difflib
import os
from pathlib import Path

from ml_agent.core.errors import TaskError, UsageError
from ml_agent.tasks.card import TaskPackage, load_package

LIBRARY = Path(__file__).parent / "library"


def catalogue() -> dict[str, TaskPackage]:
    """Every shipped task by id, sorted.

    Raises:
        TaskError: A shipped package is broken.
    """
    return {name: _shipped(name) for name in _names()}


def find_package(name_or_folder: str) -> TaskPackage:
    """A shipped task by its id, or any task package by its folder.

    An id wins over a folder of that name; write "./name" for the folder.

    Raises:
        UsageError: There is neither such a task nor such a folder.
        TaskError: The package is broken.
    """
    names = _names()
    if name_or_folder in names:
        return _shipped(name_or_folder)
    folder = Path(name_or_folder).expanduser()
    if folder.is_dir():
        return load_package(folder)
    if os.sep in name_or_folder:
        raise UsageError(
            f"there is no folder {name_or_folder!r}. Give the folder of a task package"
        )
    close = difflib.get_close_matches(name_or_folder, names)
    meant = f"Did you mean {' or '.join(close)}? " if close else ""
    raise UsageError(
        f"no task is called {name_or_folder!r}. {meant}See `ml-agent tasks list`, or give the "
        "folder of a task package"
    )


def _names() -> list[str]:
    folders = LIBRARY.iterdir() if LIBRARY.is_dir() else iter(())
    return sorted(f.name for f in folders if f.is_dir() and f.name[0] not in "._")


def _shipped(name: str) -> TaskPackage:
    package = load_package(LIBRARY / name)
    if package.card.id != name:
        raise TaskError(
            f"{package.folder / 'task.toml'}: id is {package.card.id!r} but the folder is "
            f"{name!r}. Give both one name."
        )
    return package
