"""A tiny task of standard-library scripts, and a box to run them in."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from ml_agent.core.records import Execution, Limits
from ml_agent.sandbox import ColdBox, Snapshots
from ml_agent.tasks import SUBMISSION, Experiment, Grader

CARD = """
id = "tiny-line"
domain = "tabular regression"
role = "train"
seeds = [0, 1]
[metric]
name = "mae"
higher_is_better = false
[budget]
steps = 4
[budget.experiment]
wall_s = 20.0
cpu_s = 20.0
[source]
title = "A noisy line"
licence = "CC0"
citation = "made here"
"""

PREPARE = """
import csv, random

def write(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])

def prepare(sources, public, answers, seed):
    rng = random.Random(seed)
    names = [f"r{i}" for i in rng.sample(range(1000, 9999), 140)]
    x = [rng.random() for _ in names]
    y = [3 * v + 5 + rng.gauss(0, 0.1) for v in x]
    rows = list(zip(names, x, y))
    held = rng.sample(range(60, 140), 80)
    write(public / "train.csv", ["id", "x", "y"], rows[:60])
    write(public / "predict.csv", ["id", "x"], [rows[i][:2] for i in held])
    labels = [(name, target) for name, _, target in rows]
    write(answers / "valid.csv", ["id", "label"], labels[60:100])
    write(answers / "test.csv", ["id", "label"], labels[100:])
"""

READ = """
import csv
with open("data/train.csv") as file:
    train = [(float(r["x"]), float(r["y"])) for r in csv.DictReader(file)]
with open("data/predict.csv") as file:
    predict = [(r["id"], float(r["x"])) for r in csv.DictReader(file)]
"""

STARTER = (
    READ
    + """
halves = [[y for x, y in train if (x > 0.5) == half] for half in (False, True)]
means = [sum(half) / len(half) for half in halves]
with open("submission.csv", "w") as file:
    print("id,prediction", file=file)
    for name, x in predict:
        print(f"{name},{means[x > 0.5]}", file=file)
"""
)

REFERENCE = (
    READ
    + """
n = len(train)
mx, my = sum(x for x, _ in train) / n, sum(y for _, y in train) / n
slope = sum((x - mx) * (y - my) for x, y in train) / sum((x - mx) ** 2 for x, _ in train)
with open("submission.csv", "w") as file:
    print("id,prediction", file=file)
    for name, x in predict:
        print(f"{name},{my + slope * (x - mx)}", file=file)
"""
)

FILES = {
    "task.toml": CARD,
    "statement.md": "Predict y from x; mean absolute error.\n",
    "prepare.py": PREPARE,
    "starter/train.py": STARTER,
    "reference/train.py": REFERENCE,
}

WritePackage = Callable[..., Path]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_AGENT_HOME", str(tmp_path / "home"))


@pytest.fixture
def write_package(tmp_path: Path) -> WritePackage:
    """Write the tiny package; `replace={file: (old, new)}` spoils a file, None removes it."""

    def write(replace: Mapping[str, tuple[str, str] | str | None] | None = None) -> Path:
        folder = tmp_path / "tiny-line"
        changes = dict(replace or {})
        for name, content in FILES.items():
            text: str | None = content
            match changes.pop(name, ()):
                case None:
                    continue
                case str(whole):
                    text = whole
                case (old, new):
                    assert old in content
                    text = content.replace(old, new)
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert not changes
        return folder

    return write


@pytest.fixture(scope="session")
def grader() -> Iterator[Grader]:
    with Grader() as one:
        yield one


@pytest.fixture
def open_box() -> Experiment:
    """No box at all: a process of ours that can read whatever we can."""
    return run_unboxed


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """A real box, wired as the floors above wire it."""
    snapshots = Snapshots(tmp_path_factory.mktemp("snapshots"))

    def run(
        files: Mapping[str, bytes], data: Path, script: str, limits: Limits
    ) -> tuple[Execution, bytes | None]:
        cold = ColdBox(snapshots, data=data)
        try:
            for name, content in files.items():
                cold.write(name, content)
            return cold.run((script,), limits=limits), cold.read(SUBMISSION)
        finally:
            cold.close()

    return run


def run_unboxed(
    files: Mapping[str, bytes], data: Path, script: str, limits: Limits
) -> tuple[Execution, bytes | None]:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        for name, content in files.items():
            (workspace / name).write_bytes(content)
        (workspace / "data").symlink_to(data)
        start, cpu = time.perf_counter(), _cpu_of_children()
        done = subprocess.run(
            [sys.executable, "-I", script],
            cwd=workspace,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=limits.wall_s,
            check=False,
        )
        execution = Execution(
            exit_code=done.returncode,
            output=done.stdout,
            wall_s=time.perf_counter() - start,
            cpu_s=_cpu_of_children() - cpu,
        )
        submission = workspace / SUBMISSION
        return execution, submission.read_bytes() if submission.is_file() else None


def _cpu_of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system
