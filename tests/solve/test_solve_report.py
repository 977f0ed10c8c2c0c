"""What the report says of an outcome: never more than was measured."""

import pytest

from ml_agent.core.records import Metric
from ml_agent.solve.certainty import Between
from ml_agent.solve.report import Intervals, Outcome, findings


def outcome(best: float, starter_test: float | None, best_test: float | None) -> Outcome:
    """Of an error of 10 at the start; lower is better."""
    return Outcome(
        task="t",
        metric=Metric(name="rmse", higher_is_better=False),
        improved=best < 10.0,
        starter=10.0,
        best=best,
        starter_test=starter_test,
        best_test=best_test,
        test_rows=50,
        experiments=7,
        without_score=2,
        unstable=0,
        ended="the time is used up",
        stopped=False,
        script="best/train.py",
        predictions=None,
    )


@pytest.mark.parametrize(
    ("best", "starter_test", "best_test", "said"),
    [
        (10.0, 11.0, 11.0, ["No improvement: none of 7 experiments"]),
        (8.0, 11.0, 8.8, ["10 -> 8 (20.0% better)", "11 -> 8.8 (20.0% better)"]),
        (5.0, 11.0, 9.9, ["(50.0% better)", "(10.0% better)", "validation is larger by 3.9"]),
        (8.0, 11.0, 12.1, ["(20.0% better)", "(10.0% worse)", "does not confirm"]),
        (8.0, 11.0, 11.0, ["(20.0% better)", "(0.0% better)", "does not confirm"]),
        (8.0, None, None, ["(20.0% better)", "could not be graded"]),
    ],
)
def test_what_is_found_is_said_and_no_more(
    best: float, starter_test: float | None, best_test: float | None, said: list[str]
) -> None:
    lines = findings(outcome(best, starter_test, best_test))
    assert len(lines) == len(said)
    assert all(part in line for part, line in zip(said, lines, strict=True))


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.4, 3.9, "more than the luck of which rows are in the split: with 95 % confidence"),
        (-0.5, 3.1, "do not tell that gain from none: with 95 % confidence it lies between -0.5"),
    ],
)
def test_a_gain_on_the_test_is_believed_as_far_as_its_interval_goes(
    low: float, high: float, said: str
) -> None:
    sure = Intervals(test_gain=Between(low=low, high=high))
    lines = findings(outcome(8.0, 11.0, 8.8).model_copy(update={"intervals": sure}))
    assert sum(said in line for line in lines) == 1
