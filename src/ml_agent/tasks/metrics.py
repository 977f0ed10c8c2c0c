"""The metrics a task may be measured with. scikit-learn is imported when one is computed."""

import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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
    predicts: Literal["label", "number", "probabilities"]
    """A class by its name, a finite number, or the probability of every class by its name."""
    lowest: float | None = None
    """Smallest number the metric is defined for; None: any."""
    highest: float | None = None
    """Largest number that may be predicted; None: any."""
    two_classes: bool = False
    """The truth is 0 or 1 and both occur; the prediction is a score, higher meaning 1."""
    whole: bool = False
    """Labels are whole numbers, and how far apart two of them are counts."""
    divides: bool = False
    """The truth is divided by, so it may not be 0."""

    @property
    def of_classes(self) -> bool:
        """Whether the truth is a class rather than a quantity."""
        return self.predicts != "number" or self.two_classes


def _accuracy(truth: Sequence[str], predicted: Sequence[str]) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(truth, predicted))


def _macro_f1(truth: Sequence[str], predicted: Sequence[str]) -> float:
    """Unweighted mean of F1 over every class that occurs, or is predicted."""
    from sklearn.metrics import f1_score

    return float(f1_score(truth, predicted, average="macro", zero_division=0))


def _mcc(truth: Sequence[str], predicted: Sequence[str]) -> float:
    """Matthews' correlation of any number of classes (Gorodkin 2004); 0 where undefined.

    Not scikit-learn's: its table of all pairs of labels would be as large as the predictions ask.
    """
    count, known, said = len(truth), Counter(truth), Counter(predicted)
    right = sum(one == other for one, other in zip(truth, predicted, strict=True))
    chance = sum(times * said[label] for label, times in known.items())
    spread = count**2 - sum(times**2 for times in known.values())
    spread *= count**2 - sum(times**2 for times in said.values())
    return (count * right - chance) / math.sqrt(spread) if spread else 0.0


def _qwk(truth: Sequence[str], predicted: Sequence[str]) -> float:
    """Cohen's kappa with quadratic weights, of the places of labels among those that occur.

    As scikit-learn's `cohen_kappa_score(weights="quadratic")`, without its table of all pairs:
    1 - sum (t - p)^2 / (sum t^2 + sum p^2 - 2 sum t sum p / n).
    """
    said = [float(one) for one in predicted]
    if strange := [one for one in said if not one.is_integer()]:
        raise ValueError(f"labels are whole numbers, {strange[0]:g} is none")
    known = [float(one) for one in truth]
    place = {label: number for number, label in enumerate(sorted({*known, *said}))}
    t, p = [place[one] for one in known], [place[one] for one in said]
    apart = sum((one - other) ** 2 for one, other in zip(t, p, strict=True))
    by_chance = sum(one**2 for one in t) + sum(one**2 for one in p) - 2 * sum(t) * sum(p) / len(t)
    if not by_chance:
        raise ValueError("only one label occurs, so agreement by chance is whole")
    return 1 - apart / by_chance


def _auc(truth: Sequence[float], predicted: Sequence[float]) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, predicted))


def _log_loss(truth: Sequence[float], predicted: Sequence[float]) -> float:
    """Mean of -log of the probability given to what was true; clipped to stay finite."""
    from sklearn.metrics import log_loss

    return float(log_loss(truth, predicted, labels=[0.0, 1.0]))


def _multiclass_log_loss(truth: Sequence[str], predicted: Sequence[Mapping[str, float]]) -> float:
    """The same of any number of classes; one without a probability has 0, clipped as 0 is."""
    told = (row.get(label, 0.0) for label, row in zip(truth, predicted, strict=True))
    logs = [math.log(max(one, sys.float_info.epsilon)) for one in told]
    return -math.fsum(logs) / len(logs)


def _mae(truth: Sequence[float], predicted: Sequence[float]) -> float:
    from sklearn.metrics import mean_absolute_error

    return float(mean_absolute_error(truth, predicted))


def _rmse(truth: Sequence[float], predicted: Sequence[float]) -> float:
    from sklearn.metrics import root_mean_squared_error

    return float(root_mean_squared_error(truth, predicted))


def _mse(truth: Sequence[float], predicted: Sequence[float]) -> float:
    from sklearn.metrics import mean_squared_error

    return float(mean_squared_error(truth, predicted))


def _rmsle(truth: Sequence[float], predicted: Sequence[float]) -> float:
    """Root of the mean of (log(1 + truth) - log(1 + predicted))^2."""
    from sklearn.metrics import root_mean_squared_log_error

    return float(root_mean_squared_log_error(truth, predicted))


def _r2(truth: Sequence[float], predicted: Sequence[float]) -> float:
    from sklearn.metrics import r2_score

    return float(r2_score(truth, predicted))


def _mape(truth: Sequence[float], predicted: Sequence[float]) -> float:
    """Mean of |truth - prediction| / |truth|: 0.1 is ten percent."""
    from sklearn.metrics import mean_absolute_percentage_error

    return float(mean_absolute_percentage_error(truth, predicted))


def _smape(truth: Sequence[float], predicted: Sequence[float]) -> float:
    """Mean of 200 |t - p| / (|t| + |p|), from 0 to 200; where both are 0 the term is 0."""
    terms = [
        abs(t - p) / (abs(t) + abs(p)) if t or p else 0.0
        for t, p in zip(truth, predicted, strict=True)
    ]
    return 200 * math.fsum(terms) / len(terms)


def _pearson(truth: Sequence[float], predicted: Sequence[float]) -> float:
    """Linear correlation. One value for every row, where it is undefined, counts as 0."""
    import numpy as np

    t, p = np.asarray(truth, dtype=float), np.asarray(predicted, dtype=float)
    if np.ptp(t) == 0 or np.ptp(p) == 0:
        return 0.0
    t, p = t - t.mean(), p - p.mean()
    return float((t / np.linalg.norm(t)) @ (p / np.linalg.norm(p)))


def _spearman(truth: Sequence[float], predicted: Sequence[float]) -> float:
    """Linear correlation of the ranks, ties sharing theirs."""
    from scipy.stats import rankdata

    return _pearson(rankdata(truth).tolist(), rankdata(predicted).tolist())


def _label(compute: Callable[..., float], *, whole: bool = False) -> Measure:
    return Measure(
        compute=compute, higher_is_better=True, perfect=1.0, predicts="label", whole=whole
    )


def _error(
    compute: Callable[..., float], *, lowest: float | None = None, divides: bool = False
) -> Measure:
    return Measure(
        compute=compute,
        higher_is_better=False,
        perfect=0.0,
        predicts="number",
        lowest=lowest,
        divides=divides,
    )


def _fit(compute: Callable[..., float]) -> Measure:
    return Measure(compute=compute, higher_is_better=True, perfect=1.0, predicts="number")


METRICS: dict[str, Measure] = {
    "accuracy": _label(_accuracy),
    "macro_f1": _label(_macro_f1),
    "mcc": _label(_mcc),
    "qwk": _label(_qwk, whole=True),
    "auc": Measure(
        compute=_auc, higher_is_better=True, perfect=1.0, predicts="number", two_classes=True
    ),
    "log_loss": Measure(
        compute=_log_loss,
        higher_is_better=False,
        perfect=0.0,
        predicts="number",
        lowest=0.0,
        highest=1.0,
        two_classes=True,
    ),
    "multiclass_log_loss": Measure(
        compute=_multiclass_log_loss,
        higher_is_better=False,
        perfect=0.0,
        predicts="probabilities",
    ),
    "mae": _error(_mae),
    "mse": _error(_mse),
    "rmse": _error(_rmse),
    "rmsle": _error(_rmsle, lowest=0.0),
    "mape": _error(_mape, divides=True),
    "smape": _error(_smape),
    "r2": _fit(_r2),
    "pearson": _fit(_pearson),
    "spearman": _fit(_spearman),
}
"""Every metric by the name a card gives it."""
