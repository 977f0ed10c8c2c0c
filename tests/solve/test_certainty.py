"""Intervals of scores: against the metrics themselves, and against a formula."""

import csv
import io
import math

import numpy as np
import pytest

from ml_agent.core.records import Metric
from ml_agent.solve import certainty
from ml_agent.solve.certainty import Resampled, between, intervals_of
from ml_agent.tasks import METRICS
from ml_agent.tasks.grading import Answers, compared

ROWS = 60


def truth_for(name: str) -> list[str]:
    rng = np.random.default_rng(1)
    measure = METRICS[name]
    if measure.two_classes:
        return [str(one) for one in rng.integers(0, 2, 2 * ROWS)]
    if measure.predicts == "label":
        return [str(one) for one in rng.choice(["a", "b", "c"], 2 * ROWS)]
    return [f"{one:.3f}" for one in rng.uniform(1, 9, 2 * ROWS)]


def guesses_for(name: str, truth: list[str], seed: int) -> list[str]:
    """Right for half of the rows; ties among scores, and numbers a little off."""
    rng = np.random.default_rng(seed)
    if METRICS[name].predicts == "label":
        return [one if rng.random() < 0.5 else "b" for one in truth]
    return [f"{abs(float(one) + rng.normal()):.1f}" for one in truth]


def submitted(guesses: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([("id", "prediction"), *enumerate(guesses)])
    return text.getvalue().encode()


def answers_of(truth: list[str]) -> Answers:
    labels = {str(i): one for i, one in enumerate(truth)}
    return Answers(
        valid={i: labels[i] for i in labels if int(i) < ROWS},
        test={i: labels[i] for i in labels if int(i) >= ROWS},
    )


NAMES = ("accuracy", "macro_f1", "auc", "mae", "rmse", "rmsle")


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_is_resampled_as_it_is_computed(name: str) -> None:
    truth = truth_for(name)
    answers, measure = answers_of(truth), METRICS[name]
    metric = Metric(name=name, higher_is_better=measure.higher_is_better)
    submission = submitted(guesses_for(name, truth, 2))
    resampled = Resampled(metric, answers, "test")
    scores = resampled.scores(submission)
    assert scores is not None
    right, said = compared(answers, measure, "test", submission)
    for number, drawn in enumerate(resampled._drawn_BN[:5]):
        again = measure.compute([right[i] for i in drawn], [said[i] for i in drawn])
        assert scores[number] == pytest.approx(again)


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_without_a_formula_of_its_own_is_asked_for_each_resample(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = truth_for(name)
    metric = Metric(name=name, higher_is_better=METRICS[name].higher_is_better)
    resampled = Resampled(metric, answers_of(truth), "valid")
    submission = submitted(guesses_for(name, truth, 3))
    by_formula = resampled.scores(submission)
    monkeypatch.delitem(certainty._WEIGHED, name)
    asked = resampled.scores(submission)
    assert by_formula is not None
    assert asked is not None
    assert asked == pytest.approx(by_formula[: len(asked)])
    monkeypatch.setattr(certainty, "_ASKED_ROWS", ROWS - 1)
    assert resampled.scores(submission) is None


def test_an_interval_of_accuracy_is_that_of_the_binomial() -> None:
    truth = ["a"] * ROWS + ["b"] * ROWS
    guesses = ["a" if i % 4 else "b" for i in range(ROWS)] + ["b"] * ROWS
    (found,), _ = intervals_of(
        Metric(name="accuracy", higher_is_better=True),
        answers_of(truth),
        "valid",
        [submitted(guesses)],
    )
    assert found is not None
    # 45 of 60 are right; the error of a share p is sqrt(p (1 - p) / n), and 1.96 of them 95 %.
    half = 1.96 * math.sqrt(0.75 * 0.25 / 60)
    assert found.low == pytest.approx(0.75 - half, abs=0.02)
    assert found.high == pytest.approx(0.75 + half, abs=0.02)


def test_a_gain_on_every_row_is_sure_however_far_the_rows_are_apart() -> None:
    truth = [f"{100 * i}" for i in range(2 * ROWS)]
    rng = np.random.default_rng(0)
    off = rng.uniform(50, 500, 2 * ROWS)
    first = submitted([f"{100 * i + off[i]:.6f}" for i in range(2 * ROWS)])
    best = submitted([f"{100 * i + off[i] - 1:.6f}" for i in range(2 * ROWS)])
    metric = Metric(name="mae", higher_is_better=False)
    scores, gain = intervals_of(metric, answers_of(truth), "test", [first, best])
    assert gain is not None
    assert (gain.low, gain.high) == pytest.approx((1.0, 1.0), abs=1e-5)
    assert scores[0] is not None
    assert scores[0].high - scores[0].low > 50


def test_predictions_that_cannot_be_graded_have_no_interval() -> None:
    answers = answers_of(["1.0"] * (2 * ROWS))
    metric = Metric(name="rmse", higher_is_better=False)
    scores, gain = intervals_of(metric, answers, "test", [submitted(["1.0"] * 120), b"no table"])
    assert (scores[0] is None, scores[1], gain) == (False, None, None)
    assert between(np.full(2000, np.nan)) is None


def test_a_metric_of_probabilities_has_an_interval_too() -> None:
    truth = ["a", "b"] * ROWS
    rows = ["id,a,b", *(f"{i},{0.9 if i % 4 else 0.2},{0.1 if i % 4 else 0.8}" for i in range(120))]
    metric = Metric(name="multiclass_log_loss", higher_is_better=False)
    (found,), _ = intervals_of(metric, answers_of(truth), "valid", ["\n".join(rows).encode()])
    # Of each four rows one loses -ln 0.2, one -ln 0.9 and two -ln 0.1.
    mean = -(math.log(0.2) + math.log(0.9) + 2 * math.log(0.1)) / 4
    assert found is not None
    assert found.low < mean < found.high
