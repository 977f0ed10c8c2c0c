"""Scores on the test split: for reports, and for nothing else.

The only module that can name one. import-linter keeps it out of everything that learns, decides
or rewards (pyproject.toml).
"""

from ml_agent.core.base import Record
from ml_agent.core.errors import GraderError
from ml_agent.tasks.contract import Malformed, PreparedTask
from ml_agent.tasks.grader import Grader
from ml_agent.tasks.preparation import REFERENCE_SUBMISSION, STARTER_SUBMISSION


class TestScore(Record):
    """The metric's value on the test split. Another type than `Score`: they never mix."""

    __test__ = False  # not a test case, whatever its name says to pytest
    value: float


class Baselines(Record):
    """Test scores of a task's own two scripts: 0 and 1 of the normalised gain on test."""

    starter: TestScore
    reference: TestScore


def grade_test(grader: Grader, prepared: PreparedTask, predictions: bytes) -> TestScore | Malformed:
    """Grade the test rows of a submission.

    Raises:
        GraderError: The grader failed; nothing is known about the predictions.
    """
    value = grader._score(prepared, predictions, "test")
    return value if isinstance(value, Malformed) else TestScore(value=value)


def grade_baselines(grader: Grader, prepared: PreparedTask) -> Baselines:
    """Grade on test what starter and reference predicted when the task was prepared.

    Raises:
        GraderError: The grader failed, or the kept submissions are damaged.
    """
    scores = []
    for name in (STARTER_SUBMISSION, REFERENCE_SUBMISSION):
        found = grade_test(grader, prepared, (prepared.answers / name).read_bytes())
        if isinstance(found, Malformed):
            raise GraderError(
                f"{prepared.answers / name} was altered ({found.reason}). Delete "
                f"{prepared.answers.parent} and prepare the task again."
            )
        scores.append(found)
    return Baselines(starter=scores[0], reference=scores[1])
