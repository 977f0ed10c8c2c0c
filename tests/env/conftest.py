"""A cache of its own for every test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cached_runs import NewRun, Run

from ml_agent.env import ResultCache
from ml_agent.tasks import Grader


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(root: Path) -> Iterator[ResultCache]:
    with ResultCache(root) as one:
        yield one


@pytest.fixture
def new_run(tmp_path: Path, grader: Grader, cache: ResultCache) -> NewRun:
    def make(name: str, *, checked: bool = False) -> Run:
        return Run(tmp_path / name, grader, cache, checked=checked)

    return make
