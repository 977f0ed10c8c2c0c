"""Every metric against a value worked out by hand."""

import math

import pytest

from ml_agent.tasks import METRICS


@pytest.mark.parametrize(
    ("name", "truth", "predicted", "expected"),
    [
        ("accuracy", ["a", "a", "b", "c"], ["a", "b", "b", "c"], 3 / 4),
        # a: precision 1, recall 1/2; b: 1/2 and 1; c: 1 and 1.
        ("macro_f1", ["a", "a", "b", "c"], ["a", "b", "b", "c"], (2 / 3 + 2 / 3 + 1) / 3),
        # A class that is only predicted counts with F1 0; a: precision 1, recall 1/2.
        ("macro_f1", ["a", "a"], ["a", "z"], (2 / 3 + 0) / 2),
        # Of four pairs (positive, negative): 0.8 > 0.1, 0.8 > 0.4, 0.4 > 0.1, and one tie.
        ("auc", [1.0, 1.0, 0.0, 0.0], [0.8, 0.4, 0.1, 0.4], 3.5 / 4),
        ("mae", [1.0, 2.0, 4.0], [1.0, 4.0, 1.0], (0 + 2 + 3) / 3),
        ("rmse", [1.0, 2.0, 4.0], [1.0, 4.0, 1.0], math.sqrt((0 + 4 + 9) / 3)),
        # log(1 + 0) = 0 and log(1 + (e - 1)) = 1.
        ("rmsle", [0.0, math.e - 1], [math.e - 1, math.e - 1], math.sqrt(1 / 2)),
    ],
)
def test_a_metric_has_the_value_of_its_formula(name, truth, predicted, expected):
    assert METRICS[name].compute(truth, predicted) == pytest.approx(expected, rel=1e-12)


def test_directions():
    higher = {name for name, measure in METRICS.items() if measure.higher_is_better}
    assert higher == {"accuracy", "macro_f1", "auc"}
