from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_agent.core.errors import UsageError
from ml_agent.core.records import Axis, Domain, Idea
from ml_agent.train.exploration import (
    farthest_point_selection,
    idea_combinations,
    mean_distance_selection,
    select_ideas,
)

# Unit vectors at these angles: cosine distance is 1 - cos of the difference.
ANGLES = np.radians([0.0, 10.0, 20.0, 90.0, 180.0])
CIRCLE_ND = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
IDEAS = tuple(
    Idea(id=f"{axis}-{number}", axis=axis, text=f"{axis} {number}", domains=(Domain.TEXT,))
    for axis in Axis
    for number in range(4)
)


def cosine_distance(a: np.ndarray, b: np.ndarray) -> float:
    return 1.0 - float(a @ b) / float(np.sqrt(a @ a) * np.sqrt(b @ b))


def embed(texts: Sequence[str]) -> np.ndarray:
    """The first letter tells the axis, the number the angle."""
    angles = np.array([int(text[-1]) * 0.7 + ord(text[0]) for text in texts])
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_mean_distance_takes_the_loners_first() -> None:
    # By hand, sums of 1 - cos: 0deg .015+.060+1+2=3.075; 10deg .015+.015+.826+1.985=2.841;
    # 20deg .060+.015+.658+1.940=2.673; 90deg 1+.826+.658+1=3.484; 180deg 2+1.985+1.940+1=6.925.
    assert mean_distance_selection(CIRCLE_ND, 3) == [4, 3, 0]


def test_farthest_points_start_at_the_centroid_and_spread() -> None:
    # The sum of the vectors points to atan2(1.516, 1.925) = 38.2deg; 20deg is the nearest.
    # Farthest from 20deg is 180deg; then 90deg is 1 - cos 70deg from 20deg, more than any other.
    assert farthest_point_selection(CIRCLE_ND, 3) == [2, 4, 3]


@given(st.integers(0, 10_000), st.integers(3, 9), st.integers(1, 9))
def test_both_rules_agree_with_brute_force(seed: int, count: int, k: int) -> None:
    points = np.random.default_rng(seed).normal(size=(count, 3))
    distance = [[cosine_distance(a, b) for b in points] for a in points]

    means = [sum(row) / (count - 1) for row in distance]
    by_mean = sorted(range(count), key=lambda i: -means[i])[:k]
    assert mean_distance_selection(points, k) == by_mean

    centre = np.mean([point / np.sqrt(point @ point) for point in points], axis=0)
    chosen = [min(range(count), key=lambda i: cosine_distance(points[i], centre))]
    while len(chosen) < min(k, count):
        rest = [i for i in range(count) if i not in chosen]
        chosen.append(max(rest, key=lambda i: min(distance[i][j] for j in chosen)))
    assert farthest_point_selection(points, k) == chosen


def test_ties_go_to_the_lowest_index() -> None:
    same = np.ones((4, 3)) * np.array([[1.0], [2.0], [0.1], [7.0]])
    assert mean_distance_selection(same, 3) == [0, 1, 2]
    assert farthest_point_selection(same, 4) == [0, 1, 2, 3]


def test_lengths_do_not_matter_and_zero_vectors_are_far_from_all() -> None:
    lengths = np.array([[3.0], [0.5], [1.0], [9.0], [2.0]])
    assert mean_distance_selection(CIRCLE_ND * lengths, 5) == mean_distance_selection(CIRCLE_ND, 5)
    assert farthest_point_selection(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 0.0]]), 2)[1] == 2


def test_fewer_candidates_than_asked_for_are_all_taken() -> None:
    assert mean_distance_selection(CIRCLE_ND[:1], 10) == [0]
    assert sorted(farthest_point_selection(CIRCLE_ND, 10)) == [0, 1, 2, 3, 4]
    assert farthest_point_selection(np.zeros((0, 2)), 3) == []


@pytest.mark.parametrize("rule", [mean_distance_selection, farthest_point_selection])
def test_impossible_calls_say_why(rule) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        rule(CIRCLE_ND, 0)
    with pytest.raises(UsageError, match="finite"):
        rule(np.array([[np.nan, 1.0]]), 1)


def test_fps_selects_on_each_axis_and_mean_distance_over_all() -> None:
    by_axis = select_ideas(IDEAS, embed, "fps", 2)
    assert Counter(idea.axis for idea in by_axis) == dict.fromkeys(Axis, 2)
    data = [idea for idea in IDEAS if idea.axis is Axis.DATA]
    expected = farthest_point_selection(embed([idea.text for idea in data]), 2)
    assert by_axis[:2] == [data[i] for i in expected]

    overall = select_ideas(IDEAS, embed, "mean-distance", 5)
    expected = mean_distance_selection(embed([idea.text for idea in IDEAS]), 5)
    assert overall == [IDEAS[i] for i in expected]
    assert select_ideas((), embed, "fps", 3) == []


def test_an_unknown_rule_is_named() -> None:
    with pytest.raises(UsageError, match="nearest"):
        select_ideas(IDEAS, embed, "nearest", 3)  # type: ignore[arg-type]


def test_combinations_take_one_idea_of_each_of_one_to_three_axes() -> None:
    combinations = idea_combinations(IDEAS, 60, seed=3)
    assert len(combinations) == 60
    assert {len(ideas) for ideas in combinations} == {1, 2, 3}
    assert all(len({idea.axis for idea in ideas}) == len(ideas) for ideas in combinations)
    orders = {tuple(idea.axis for idea in ideas) for ideas in combinations if len(ideas) == 2}
    assert {(b, a) for a, b in orders} & orders


def test_combinations_try_all_ideas_of_an_axis_about_equally_often() -> None:
    played = Counter(idea for ideas in idea_combinations(IDEAS, 50, seed=1) for idea in ideas)
    for axis in Axis:
        counts = [played[idea] for idea in IDEAS if idea.axis is axis]
        assert max(counts) - min(counts) <= 1


def test_combinations_depend_on_the_seed_alone() -> None:
    first, again, other = (idea_combinations(IDEAS, 20, seed) for seed in (5, 5, 6))
    assert first == again != other
    assert all(a != b for a, b in pairwise([first, other]))


def test_nothing_to_combine_is_an_error() -> None:
    with pytest.raises(UsageError, match="no ideas"):
        idea_combinations((), 3, seed=0)
