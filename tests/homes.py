"""A cache folder for tests: prepared tasks and downloads are shared, all else is its own."""

from pathlib import Path

from ml_agent.assets import cache_home

SHARED = ("downloads", "models", "tasks")
"""Costly to make and never wrong: each is named by what it was made from."""


def linked_home(folder: Path) -> Path:
    """Make `folder` a cache folder that leaves the user's experiments alone."""
    folder.mkdir()
    for name in SHARED:
        (cache_home() / name).mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to((cache_home() / name).resolve())
    return folder
