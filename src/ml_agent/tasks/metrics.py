"""The metrics a task may be measured with. scikit-learn is imported when one is computed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Measure:
    """How a metric is computed, and what may be predicted for it."""

    compute: Callable[[Sequence[Any], Sequence[Any]], float]
    """(truth, predictions) in the same order -> value."""
    higher_is_better: bool
    perfect: float
    """The value of predictions that are all right."""
    predicts: Literal["label", "number"]
    """A class by its name, or a finite number."""
    lowest: float | None = None
    """Smallest number the metric is defined for; None: any."""
    two_classes: bool = False
    """The truth is 0 or 1 and both occur; the prediction is a score, higher meaning 1."""


def _accuracy(truth: Sequence[str], predicted: Sequence[str]) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(truth, predicted))


def _macro_f1(truth: Sequence[str], predicted: Sequence[str]) -> float:
    """Unweighted mean of F1 over every class that occurs, or is predicted."""
    from sklearn.metrics import f1_score

    return float(f1_score(truth, predicted, average="macro", zero_division=0))


def _auc(truth: Sequence[float], predicted: Sequence[float]) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, predicted))


def _mae(truth: Sequence[float], predicted: Sequence[float]) -> float:
    from sklearn.metrics import mean_absolute_error

    return float(mean_absolute_error(truth, predicted))


def _rmse(truth: Sequence[float], predicted: Sequence[float]) -> float:
    from sklearn.metrics import root_mean_squared_error

    return float(root_mean_squared_error(truth, predicted))


def _rmsle(truth: Sequence[float], predicted: Sequence[float]) -> float:
    """Root of the mean of (log(1 + truth) - log(1 + predicted))^2."""
    from sklearn.metrics import root_mean_squared_log_error

    return float(root_mean_squared_log_error(truth, predicted))


METRICS: dict[str, Measure] = {
    "accuracy": Measure(compute=_accuracy, higher_is_better=True, perfect=1.0, predicts="label"),
    "macro_f1": Measure(compute=_macro_f1, higher_is_better=True, perfect=1.0, predicts="label"),
    "auc": Measure(
        compute=_auc, higher_is_better=True, perfect=1.0, predicts="number", two_classes=True
    ),
    "mae": Measure(compute=_mae, higher_is_better=False, perfect=0.0, predicts="number"),
    "rmse": Measure(compute=_rmse, higher_is_better=False, perfect=0.0, predicts="number"),
    "rmsle": Measure(
        compute=_rmsle, higher_is_better=False, perfect=0.0, predicts="number", lowest=0.0
    ),
}
"""Every metric by the name a card gives it."""
