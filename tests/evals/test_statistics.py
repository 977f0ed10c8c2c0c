import math

import numpy as np
import pytest

from ml_agent.core.errors import UsageError
from ml_agent.evals import bootstrap_mean, bootstrap_ratio, paired_difference


def test_equal_values_have_a_point_as_interval() -> None:
    found = bootstrap_mean([[0.3, 0.3], [0.3]])
    assert (found.mean, found.low, found.high) == pytest.approx((0.3, 0.3, 0.3))


def test_tasks_count_equally_however_many_attempts_they_have() -> None:
    assert bootstrap_mean([[1.0], [0.0, 0.0, 0.0]]).mean == 0.5


def test_tasks_without_attempts_are_passed_over() -> None:
    assert bootstrap_mean([[], [1.0], []]).mean == 1.0


def test_two_tasks_leave_everything_between_them_open() -> None:
    found = bootstrap_mean([[0.0], [1.0]])
    assert (found.low, found.mean, found.high) == (0.0, 0.5, 1.0)


def test_one_task_has_the_percentiles_of_its_attempts_mean() -> None:
    # Means of two draws from (0, 1): 0, 0.5 and 1 with chances 1/4, 1/2, 1/4, each over 2.5 %.
    found = bootstrap_mean([[0.0, 1.0]])
    assert (found.low, found.mean, found.high) == (0.0, 0.5, 1.0)


def test_many_tasks_of_one_attempt_give_students_interval() -> None:
    values = np.random.default_rng(1).normal(0.2, 0.3, size=40)
    found = bootstrap_mean([[value] for value in values])
    half = 2.0227 * values.std(ddof=1) / math.sqrt(40)  # t of 39 degrees of freedom
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_equal_seeds_give_equal_intervals_and_others_do_not() -> None:
    groups = [[0.1, 0.4], [0.3, 0.9, 0.2], [0.5]]
    assert bootstrap_mean(groups, seed=3) == bootstrap_mean(groups, seed=3)
    assert bootstrap_mean(groups, seed=3) != bootstrap_mean(groups, seed=4)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        tasks = rng.normal(0.3, 0.3, size=(6, 1)) + rng.normal(0, 0.3, size=(6, 4))
        found = bootstrap_mean(tasks.tolist())
        covered += found.low <= 0.3 <= found.high
    assert 0.91 <= covered / 200 <= 0.99


def test_a_ratio_counts_every_action_equally() -> None:
    found = bootstrap_ratio([[(1, 1), (0, 9)], [(9, 10)]])
    assert found.mean == pytest.approx(10 / 20)
    assert 0 <= found.low <= found.mean <= found.high <= 1


def test_resamples_without_a_denominator_are_passed_over() -> None:
    found = bootstrap_ratio([[(0, 0)], [(3, 3)]])
    assert (found.low, found.mean, found.high) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("groups", [[], [[]]])
def test_nothing_to_average_is_said_so(groups: list[list[float]]) -> None:
    with pytest.raises(UsageError, match="nothing to average"):
        bootstrap_mean(groups)


def test_a_ratio_over_nothing_is_said_so() -> None:
    with pytest.raises(UsageError, match="nothing to average"):
        bootstrap_ratio([[(0, 0)]])


def test_pairs_are_attempts_at_the_same_task_with_the_same_seed() -> None:
    left = {("a", 0): 0.5, ("a", 1): 0.7, ("b", 0): 0.2, ("b", 9): 99.0}
    right = {("a", 0): 0.1, ("a", 1): 0.1, ("b", 0): 0.3, ("c", 0): 99.0}
    found = paired_difference(left, right)
    assert found is not None
    assert found.pairs == 3
    assert found.mean == pytest.approx(((0.4 + 0.6) / 2 + (0.2 - 0.3)) / 2)


def test_pairing_takes_away_what_the_policies_share() -> None:
    levels = {"a": 0.0, "b": 1.0, "c": 5.0}
    right = {(name, seed): level + seed for name, level in levels.items() for seed in range(3)}
    found = paired_difference({key: value + 0.25 for key, value in right.items()}, right)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.25, 0.25))
    assert found.excludes_zero


def test_nothing_to_pair_is_not_a_difference_of_zero() -> None:
    assert paired_difference({("a", 0): 1.0}, {("a", 1): 1.0}) is None
