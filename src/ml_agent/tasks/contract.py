"""What the tasks part gives to the floors above: prepared tasks, and graders of predictions.

A script under test writes `submission.csv` with the columns `id,prediction` (where the metric wants
probabilities: `id` and a column for each class, called like it), one row for every id of
`data/predict.csv`. Those rows are the validation and the test split, mixed; their order and ids say
no label.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ml_agent.core.base import Record
from ml_agent.core.records import Execution, Limits, Task

SUBMISSION = "submission.csv"
STARTER = "train.py"


class Score(Record):
    """The metric's value on the validation split."""

    value: float


class Malformed(Record):
    """Predictions that cannot be graded, and why, in words for whoever wrote them."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class PreparedTask:
    """A task whose data lies ready on this machine."""

    task: Task
    public: Path
    """Mounted read-only as data/ in every box."""
    answers: Path
    """valid.csv and test.csv with labels; starter.csv and reference.csv, the submissions of those
    scripts. Only the grader's process and the admission checks read it."""
    workspace: Mapping[str, bytes]
    """The files a workspace starts with: the starter script."""


class Experiment(Protocol):
    """How preparation runs a script in a box; given from above, so that tasks know no sandbox."""

    def __call__(
        self, files: Mapping[str, bytes], data: Path, script: str, limits: Limits
    ) -> tuple[Execution, bytes | None]:
        """Run `script` in a fresh workspace; return what happened and its submission.csv."""
        ...
