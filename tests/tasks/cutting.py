"""A task's prepare.py on a small source in the form of the real one, and what it cuts."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from ml_agent.tasks.catalogue import find_package

Cut = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


def load(task: str, monkeypatch: pytest.MonkeyPatch, **sizes: int) -> ModuleType:
    """A task's prepare.py as a module, with sizes that fit a small source."""
    path = find_package(task).folder / "prepare.py"
    spec = importlib.util.spec_from_file_location("prepare", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, size in sizes.items():
        monkeypatch.setattr(module, name, size)
    return module


def cut(module: ModuleType, sources: Path) -> Cut:
    """Training rows, and the rows of validation and test with their labels."""
    public, answers = sources / "public", sources / "answers"
    public.mkdir(exist_ok=True)
    answers.mkdir(exist_ok=True)
    module.prepare(sources, public, answers, 0)
    asked = pd.read_csv(public / "predict.csv")
    valid, test = (pd.read_csv(answers / f"{name}.csv") for name in ("valid", "test"))
    return pd.read_csv(public / "train.csv"), asked.merge(valid), asked.merge(test)


def pickled(table: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_pickle(path, compression="xz")


def written(table: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, header=False, index=False)


def values(part: pd.DataFrame, columns: list[str]) -> set[tuple[object, ...]]:
    return set(part[columns].itertuples(index=False, name=None))


def apart(parts: Cut, columns: list[str]) -> bool:
    """Whether no two splits share values of these columns."""
    train, valid, test = (values(part, columns) for part in parts)
    assert train and valid and test
    return not (train & valid or train & test or valid & test)
