"""How sure: intervals by a two-level bootstrap, over tasks and over attempts within tasks.

Covered: tasks count equally, however many attempts they have; few tasks give wide intervals
(see `bootstrap_mean`). Not covered: a handful of tasks is not a sample of all of machine learning;
an interval speaks of tasks drawn like these.

Shape suffixes: B resamples, T tasks (as drawn), N attempts at one task, 2 numerator and weight.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ml_agent.core.base import Record
from ml_agent.core.errors import UsageError

Floats = NDArray[np.float64]

RESAMPLES = 10_000


class Interval(Record):
    """A mean and where the true one lies with 95 % confidence."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """The data tell the mean from zero."""
        return self.low > 0 or self.high < 0


class Difference(Interval):
    """How much one policy is above another, on the same tasks and seeds."""

    pairs: int
    """Attempts compared: those that both policies made, unbroken, at the same (task, seed)."""


def bootstrap_mean(groups: Sequence[Sequence[float]], *, seed: int = 0) -> Interval:
    """Mean over tasks of the mean over attempts, with a 95 % interval.

    Each resample draws tasks with replacement and, within each drawn task, attempts with
    replacement. The interval is the *expanded percentile* of Hesterberg 2015 (arXiv:1411.5279,
    section 4): plain percentiles are too narrow for few tasks, so their level is corrected by
    Student's t over the number of tasks. On simulated evaluations of 6 tasks the plain
    percentile covered the truth in 85 to 97 % of cases, this one in 94 to over 99 %.

    One task gives the plain percentile over its attempts, which says nothing about other tasks;
    one task with one attempt gives low = high.

    Args:
        groups: For every task, its attempts' values. Tasks without attempts are passed over.
        seed: Of the resampling; equal seeds give equal intervals.

    Raises:
        UsageError: There is not one value.
    """
    pairs = [[(value, 1.0) for value in group] for group in groups]
    return _bootstrap(pairs, _mean_of_means, seed=seed)


def bootstrap_ratio(groups: Sequence[Sequence[tuple[float, float]]], *, seed: int = 0) -> Interval:
    """Sum of numerators over sum of denominators, resampled like `bootstrap_mean`.

    For shares such as "valid actions of all actions", where every action counts equally.

    Args:
        groups: For every task, its attempts' (numerator, denominator).
        seed: Of the resampling.

    Raises:
        UsageError: All denominators are zero.
    """
    return _bootstrap(groups, _ratio_of_sums, seed=seed)


def paired_difference(
    left: Mapping[tuple[str, int], float],
    right: Mapping[tuple[str, int], float],
    *,
    seed: int = 0,
) -> Difference | None:
    """How much `left` is above `right` where both have a value for the same (task, seed).

    Pairing takes away what the two share (an easy task, a lucky seed), so it tells more than two
    intervals side by side.

    Returns:
        None where there is nothing to pair.
    """
    by_task: dict[str, list[float]] = {}
    for task, number in sorted(left.keys() & right.keys()):
        by_task.setdefault(task, []).append(left[task, number] - right[task, number])
    if not by_task:
        return None
    found = bootstrap_mean(list(by_task.values()), seed=seed)
    return Difference(**found.model_dump(), pairs=sum(map(len, by_task.values())))


def _bootstrap(
    groups: Sequence[Sequence[tuple[float, float]]],
    statistic: Callable[[Floats], Floats],
    *,
    seed: int,
) -> Interval:
    groups_N2 = [np.asarray(group, dtype=np.float64) for group in groups if len(group)]
    sums_T2 = np.array([group_N2.sum(axis=0) for group_N2 in groups_N2])
    if not groups_N2 or sums_T2[:, 1].sum() == 0:
        raise UsageError("there is nothing to average: no attempt gave a value. Evaluate first.")
    found = statistic(sums_T2[None])[0]
    drawn_B = statistic(_resampled_sums(groups_N2, np.random.default_rng(seed)))
    tail = _tail(len(groups_N2))
    low, high = np.nanquantile(drawn_B, [tail, 1 - tail])
    return Interval(mean=float(found), low=float(low), high=float(high))


def _resampled_sums(groups_N2: Sequence[Floats], rng: np.random.Generator) -> Floats:
    """[B, T, 2] sums over the attempts drawn for each drawn task."""
    drawn_BT = rng.integers(len(groups_N2), size=(RESAMPLES, len(groups_N2)))
    sums_BT2 = np.empty((*drawn_BT.shape, 2))
    for t, group_N2 in enumerate(groups_N2):
        here_BT = drawn_BT == t
        picks = rng.integers(len(group_N2), size=(int(here_BT.sum()), len(group_N2)))
        sums_BT2[here_BT] = group_N2[picks].sum(axis=1)
    return sums_BT2


def _mean_of_means(sums_BT2: Floats) -> Floats:
    means_B: Floats = (sums_BT2[..., 0] / sums_BT2[..., 1]).mean(axis=1)
    return means_B


def _ratio_of_sums(sums_BT2: Floats) -> Floats:
    """NaN where no attempt with a denominator was drawn; quantiles pass over it."""
    sums_B2 = sums_BT2.sum(axis=1)
    with np.errstate(invalid="ignore"):
        ratio_B: Floats = sums_B2[:, 0] / sums_B2[:, 1]
    return ratio_B


def _tail(tasks: int) -> float:
    """Which percentile bounds 95 %: Phi(sqrt(n / (n - 1)) * t_{2.5 %, n - 1}); 2.5 % at last."""
    if tasks == 1:
        return 0.025
    from scipy.special import ndtr, stdtrit

    return float(ndtr(np.sqrt(tasks / (tasks - 1)) * stdtrit(tasks - 1, 0.025)))
