"""A tiny task of the standard library alone, and the means to play it."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from homes import linked_home
from ml_agent.core.records import Budget, Domain, Limits, Metric, Task
from ml_agent.env import PAPER_ACTIONS, Experiments
from ml_agent.runtime import Stagehand
from ml_agent.sandbox import ColdBox, Snapshots
from ml_agent.store import Store
from ml_agent.tasks import Grader, PreparedTask
from ml_agent.tasks.splits import digest_splits

LABEL = 10.0
STARTER_SCRIPT = """GUESS = 6.0
import csv
ids = [row["id"] for row in csv.DictReader(open("data/predict.csv"))]
print("predicting", len(ids), "rows")
with open("submission.csv", "w") as out:
    out.write("id,prediction\\n")
    for name in ids:
        out.write(f"{name},{GUESS}\\n")
"""
"""Every label is 10, so the error of a guess is its distance from 10: the starter's is 4."""


def pytest_configure(config: pytest.Config) -> None:
    """Tests that know of no GPU expect the figures of a processor: hide it from them."""
    if not re.search(r"(?<!not )\bgpu\b", config.option.markexpr):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture(scope="session", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the user's cache of experiments, in this process or in another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ML_AGENT_HOME", str(linked_home(tmp_path_factory.mktemp("cache") / "home")))
        yield


@pytest.fixture(scope="session")
def grader() -> Iterator[Grader]:
    with Grader() as one:
        yield one


@pytest.fixture
def guess_task(tmp_path: Path) -> PreparedTask:
    """Predict a constant: m_init 4, m_best 0, lower is better."""
    public, answers = tmp_path / "task" / "public", tmp_path / "task" / "answers"
    for folder in (public, answers):
        folder.mkdir(parents=True)
    tmp_path.chmod(0o755)
    (public / "predict.csv").write_text("id\na\nb\nc\nd\n")
    (answers / "valid.csv").write_text(f"id,label\na,{LABEL}\nb,{LABEL}\n")
    (answers / "test.csv").write_text(f"id,label\nc,{LABEL}\nd,{LABEL}\n")
    task = Task(
        id="guess",
        domain=Domain.TABULAR_REGRESSION,
        statement="Predict the number of every id in data/predict.csv.",
        metric=Metric(name="mae", higher_is_better=False),
        m_init=4.0,
        m_best=0.0,
        budget=Budget(steps=8, wall_s=60.0, experiment=Limits(wall_s=5.0)),
        splits=digest_splits(public, answers),
    )
    return PreparedTask(
        task=task,
        public=public,
        answers=answers,
        workspace={"train.py": STARTER_SCRIPT.encode()},
    )


@pytest.fixture
def stagehand(tmp_path: Path, grader: Grader) -> Stagehand:
    """Real boxes, offering every action that needs no coder."""
    snapshots = Snapshots(tmp_path / "snapshots")
    return Stagehand(
        box=lambda prepared: ColdBox(snapshots, data=prepared.public),
        experiments=Experiments(grader, snapshots),
        offered=PAPER_ACTIONS,
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    kept = Store(tmp_path / "store.sqlite")
    yield kept
    kept.close()
