"""Every metric against a value worked out by hand."""

import math
import tracemalloc

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as theirs

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
        # Right 3 of 4; truth a 2, b 1, c 1; said a 1, b 2, c 1: chance 2*1 + 1*2 + 1*1 = 5.
        ("mcc", ["a", "a", "b", "c"], ["a", "b", "b", "c"], (4 * 3 - 5) / (16 - 6)),
        # Only one label is said: undefined, so 0.
        ("mcc", ["a", "b"], ["a", "a"], 0.0),
        # Places 0 0 1 2 and 0 1 1 2: apart 1; by chance 5 + 6 - 2 * 3 * 4 / 4 = 5.
        ("qwk", ["1.0", "1.0", "3.0", "9.0"], ["1.0", "3.0", "3.0", "9.0"], 1 - 1 / 5),
        ("log_loss", [1.0, 0.0], [0.8, 0.4], -(math.log(0.8) + math.log(0.6)) / 2),
        # A class that has no probability counts as 0, which is clipped at 2 ** -52.
        (
            "multiclass_log_loss",
            ["a", "b", "c"],
            [{"a": 0.5, "b": 0.5}, {"a": 0.75, "b": 0.25}, {"a": 1.0, "b": 0.0}],
            (math.log(2) + math.log(4) + 52 * math.log(2)) / 3,
        ),
        ("mse", [1.0, 2.0, 4.0], [1.0, 4.0, 1.0], (0 + 4 + 9) / 3),
        # The mean is 7/3: squares of 4/3, 1/3, 5/3 add up to 42/9.
        ("r2", [1.0, 2.0, 4.0], [1.0, 4.0, 1.0], 1 - 13 / (42 / 9)),
        ("mape", [1.0, 2.0, 4.0], [1.0, 4.0, 1.0], (0 + 1 + 3 / 4) / 3),
        ("smape", [0.0, 2.0, 4.0], [0.0, 4.0, 1.0], 200 * (0 + 2 / 6 + 3 / 5) / 3),
        # Apart from their means -4/3, -1/3, 5/3 and -1, 2, -1.
        ("pearson", [1.0, 2.0, 4.0], [1.0, 4.0, 1.0], -1 / math.sqrt(42 / 9 * 6)),
        ("pearson", [1.0, 2.0, 4.0], [3.0, 3.0, 3.0], 0.0),
        # Ranks 1 2 3 and 1.5 3 1.5: apart from their means -1, 0, 1 and -1/2, 1, -1/2.
        ("spearman", [1.0, 2.0, 4.0], [1.0, 4.0, 1.0], 0.0),
        ("spearman", [1.0, 2.0, 4.0], [1.0, 50.0, 51.0], 1.0),
        # log(1 + 0) = 0 and log(1 + (e - 1)) = 1.
        ("rmsle", [0.0, math.e - 1], [math.e - 1, math.e - 1], math.sqrt(1 / 2)),
    ],
)
def test_a_metric_has_the_value_of_its_formula(name, truth, predicted, expected):
    assert METRICS[name].compute(truth, predicted) == pytest.approx(expected, rel=1e-12, abs=1e-12)


_RNG = np.random.default_rng(3)
_CLASSES = [[str(float(one)) for one in _RNG.integers(0, 6, 80)] for _ in "tp"]
_TWO = [_RNG.integers(0, 2, 80).astype(float).tolist(), _RNG.random(80).tolist()]
_NUMBERS = [_RNG.normal(5, 1, 80).round(1).tolist() for _ in "tp"]


_SHARES = _RNG.dirichlet([1.0, 0.5, 2.0], 80)
_SHARES[:5] = [0.0, 0.0, 1.0]
_THREE = [
    [*"abca", *_RNG.choice([*"abc"], 76).tolist()],
    [dict(zip("abc", row, strict=True)) for row in _SHARES.tolist()],
]


@pytest.mark.parametrize(
    ("name", "data", "computed"),
    [
        ("mcc", _CLASSES, theirs.matthews_corrcoef),
        (
            "qwk",
            _CLASSES,
            lambda t, p: theirs.cohen_kappa_score(
                np.array(p, dtype=float).astype(int),
                np.array(t, dtype=float).astype(int),
                weights="quadratic",
            ),
        ),
        ("macro_f1", _CLASSES, lambda t, p: theirs.f1_score(t, p, average="macro")),
        ("log_loss", _TWO, theirs.log_loss),
        ("log_loss", [_TWO[0], [0.0, 1.0] * 40], theirs.log_loss),
        ("multiclass_log_loss", _THREE, lambda t, _: theirs.log_loss(t, _SHARES)),
        ("auc", _TWO, theirs.roc_auc_score),
        ("mse", _NUMBERS, theirs.mean_squared_error),
        ("r2", _NUMBERS, theirs.r2_score),
        ("mape", _NUMBERS, theirs.mean_absolute_percentage_error),
        ("pearson", _NUMBERS, lambda t, p: stats.pearsonr(t, p)[0]),
        ("spearman", _NUMBERS, lambda t, p: stats.spearmanr(t, p)[0]),
    ],
)
def test_a_metric_is_equal_to_the_one_benchmarks_compute(name, data, computed):
    assert METRICS[name].compute(*data) == pytest.approx(computed(*data), rel=1e-9)


def test_ten_thousand_different_predictions_are_no_table_of_all_their_pairs():
    truth = [str(float(i % 3)) for i in range(10_000)]
    predicted = [str(float(i)) for i in range(10_000)]
    tracemalloc.start()
    for name in ("mcc", "qwk"):
        METRICS[name].compute(truth, predicted)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 32 << 20


def test_a_kappa_of_what_is_no_whole_number_is_refused():
    with pytest.raises(ValueError, match=r"labels are whole numbers, 2\.5 is none"):
        METRICS["qwk"].compute(["1.0", "2.0"], ["1.0", "2.5"])


def test_a_kappa_of_one_label_alone_is_undefined():
    with pytest.raises(ValueError, match="only one label occurs"):
        METRICS["qwk"].compute(["1.0", "1.0"], ["1.0", "1.0"])


def test_directions():
    lower = {name for name, measure in METRICS.items() if not measure.higher_is_better}
    errors = {"mae", "mse", "rmse", "rmsle", "mape", "smape"}
    assert lower == {"log_loss", "multiclass_log_loss", *errors}
    assert {measure.perfect for name, measure in METRICS.items() if name in lower} == {0.0}
    assert {measure.perfect for name, measure in METRICS.items() if name not in lower} == {1.0}
