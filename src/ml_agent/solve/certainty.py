"""How sure a score is: a bootstrap over the rows it was measured on.

A resample draws as many rows as there are, with replacement, and the same ones for every script: so
the gain of one script over another is resampled too (paired), and what makes both better or worse
alike does not widen it.

Covered: which rows happened to be in a split. Not covered: that scripts were chosen by validation,
so that the best one's score there is partly luck; rows that belong together (groups, neighbouring
moments), for which the intervals are too narrow.

Letters: B resamples, N rows.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ml_agent.core.base import Record
from ml_agent.core.records import Metric
from ml_agent.tasks import METRICS
from ml_agent.tasks.grading import Answers, Split, compared
from ml_agent.tasks.tables import BadTable

Floats = NDArray[np.float64]

RESAMPLES = 2000
_CELLS = 2_000_000
"""Resamples times rows, at most: with many rows fewer resamples tell as much."""
_LEAST = 200
_ASKED_ROWS = 2000
"""With more rows, asking a metric two hundred times takes too long: there is no interval then."""
_ENDS = (0.025, 0.975)


class Between(Record):
    """Where a figure lies with 95 % confidence."""

    low: float
    high: float


class Resampled:
    """The scores of scripts on resamples of one split's rows."""

    def __init__(self, metric: Metric, answers: Answers, split: Split, *, seed: int = 0) -> None:
        """Draw the resamples.

        Args:
            metric: What is measured.
            answers: The labels.
            split: Whose rows.
            seed: Of the draws.
        """
        self._metric, self._answers, self._split = metric, answers, split
        rows = len(answers.valid if split == "valid" else answers.test)
        resamples = max(_LEAST, min(RESAMPLES, _CELLS // max(1, rows)))
        rng = np.random.default_rng(seed)
        self._drawn_BN = rng.integers(rows, size=(resamples, rows))
        self._times_BN = np.array(
            [np.bincount(drawn_N, minlength=rows) for drawn_N in self._drawn_BN], dtype=np.float64
        )

    def scores(self, predictions: bytes) -> Floats | None:
        """[B] scores of one script; None: they are not known."""
        measure = METRICS[self._metric.name]
        try:
            truth, predicted = compared(self._answers, measure, self._split, predictions)
        except BadTable:
            return None
        weighed = _WEIGHED.get(self._metric.name)
        if weighed is not None:
            return weighed(np.asarray(truth), np.asarray(predicted), self._times_BN)
        # A metric without a formula of its own here is asked again for every resample.
        if len(truth) > _ASKED_ROWS:
            return None
        scores = []
        for drawn_N in self._drawn_BN[:_LEAST]:
            try:
                scores.append(
                    measure.compute([truth[i] for i in drawn_N], [predicted[i] for i in drawn_N])
                )
            except ValueError:
                # A resample may lack a class that the metric needs.
                scores.append(np.nan)
        return np.array(scores, dtype=np.float64)


def between(values_B: Floats | None) -> Between | None:
    """The interval that resampled values give; None: too few of them are known."""
    if values_B is None or np.isfinite(values_B).sum() < _LEAST / 2:
        return None
    low, high = np.quantile(values_B[np.isfinite(values_B)], _ENDS)
    return Between(low=float(low), high=float(high))


def _accuracy(truth_N: np.ndarray, predicted_N: np.ndarray, times_BN: Floats) -> Floats:
    return _mean(truth_N == predicted_N, times_BN)


def _mae(truth_N: np.ndarray, predicted_N: np.ndarray, times_BN: Floats) -> Floats:
    return _mean(np.abs(truth_N - predicted_N), times_BN)


def _rmse(truth_N: np.ndarray, predicted_N: np.ndarray, times_BN: Floats) -> Floats:
    root_B: Floats = np.sqrt(_mean(np.square(truth_N - predicted_N), times_BN))
    return root_B


def _rmsle(truth_N: np.ndarray, predicted_N: np.ndarray, times_BN: Floats) -> Floats:
    return _rmse(np.log1p(truth_N), np.log1p(predicted_N), times_BN)


def _mean(values_N: np.ndarray, times_BN: Floats) -> Floats:
    mean_B: Floats = times_BN @ values_N.astype(np.float64) / times_BN.sum(axis=1)
    return mean_B


def _auc(truth_N: np.ndarray, predicted_N: np.ndarray, times_BN: Floats) -> Floats:
    """Share of pairs of a 1 and a 0 in which the 1 is predicted higher; ties count half."""
    order_N = np.argsort(predicted_N, kind="stable")
    sorted_N = predicted_N[order_N]
    starts = np.flatnonzero(np.concatenate(([True], sorted_N[1:] != sorted_N[:-1])))
    is_one_N = (truth_N == 1)[order_N]
    times_BN = times_BN[:, order_N]
    ones = np.add.reduceat(times_BN * is_one_N, starts, axis=1)
    zeros = np.add.reduceat(times_BN * ~is_one_N, starts, axis=1)
    won_B = (ones * (np.cumsum(zeros, axis=1) - zeros / 2)).sum(axis=1)
    with np.errstate(invalid="ignore"):
        auc_B: Floats = won_B / (ones.sum(axis=1) * zeros.sum(axis=1))
    return auc_B


def _macro_f1(truth_N: np.ndarray, predicted_N: np.ndarray, times_BN: Floats) -> Floats:
    """Mean of F1 over the classes that occur in a resample, or are predicted there."""
    summed_B, classes_B = np.zeros(len(times_BN)), np.zeros(len(times_BN))
    for name in np.union1d(truth_N, predicted_N):
        is_N, said_N = truth_N == name, predicted_N == name
        both_B = times_BN @ (is_N & said_N)
        either_B = times_BN @ (is_N.astype(np.float64) + said_N)
        summed_B += 2 * both_B / np.maximum(either_B, 1)
        classes_B += either_B > 0
    return summed_B / classes_B


_WEIGHED = {
    "accuracy": _accuracy,
    "macro_f1": _macro_f1,
    "auc": _auc,
    "mae": _mae,
    "rmse": _rmse,
    "rmsle": _rmsle,
}
"""Metrics as functions of how often each row was drawn: all resamples at once."""


def gain_between(better_B: Floats | None, than_B: Floats | None, metric: Metric) -> Between | None:
    """The interval of how much better one script is than another, in the metric's unit."""
    if better_B is None or than_B is None:
        return None
    return between(metric.sign * (better_B - than_B))


def intervals_of(
    metric: Metric, answers: Answers, split: Split, submissions: Sequence[bytes]
) -> tuple[list[Between | None], Between | None]:
    """Intervals of scripts' scores on a split, and of the last one's gain over the first.

    Args:
        metric: What is measured.
        answers: The labels.
        split: Whose rows.
        submissions: The scripts' predictions, the starter's first.
    """
    resampled = Resampled(metric, answers, split)
    scores = [resampled.scores(one) for one in submissions]
    gain = gain_between(scores[-1], scores[0], metric) if len(scores) > 1 else None
    return [between(one) for one in scores], gain
