"""How diverse ideas are: against plain loops, and on the playbook's own with the real encoder."""

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_agent.core.records import Axis, Domain, Idea
from ml_agent.evals.diversity import (
    Diversities,
    comparison,
    flat_map,
    mean_distance,
    measure_diversity,
    write_diversity,
)
from ml_agent.evals.tally import tally
from ml_agent.pages.charts import Spot, scatter_chart

UP, RIGHT, BACK = [0.0, 1.0], [1.0, 0.0], [-1.0, 0.0]


def ideas(count: int, text: str = "Idea") -> list[Idea]:
    axes = list(Axis)
    return [
        Idea(id=f"i{n}", axis=axes[n % 3], text=f"{text} {n}", domains=(Domain.TEXT,))
        for n in range(count)
    ]


def by_loops(rows: Sequence[np.ndarray]) -> float:
    cosines = [float(a @ b) / np.sqrt((a @ a) * (b @ b)) for a, b in combinations(rows, 2)]
    return 1.0 - sum(cosines) / len(cosines)


@given(st.integers(0, 10_000), st.integers(2, 12))
def test_mean_distance_is_that_of_all_pairs(seed: int, count: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(count, 4))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert mean_distance(unit) == pytest.approx(by_loops(list(rows)), abs=1e-12)


def test_mean_distance_by_hand() -> None:
    # Up-right 1, up-back 1, right-back 2.
    assert mean_distance(np.array([UP, RIGHT, BACK])) == pytest.approx(4 / 3)
    # What has no direction is at distance 1 from everything.
    assert mean_distance(np.array([UP, UP, [0.0, 0.0]])) == pytest.approx(2 / 3)
    assert mean_distance(np.array([UP])) is None


def test_a_choice_is_compared_with_a_thousand_random_ones() -> None:
    # Nine alike and one opposite: a pair is 2 apart if it holds that one, else 0.
    rows = np.array([RIGHT] * 9 + [BACK])
    good = measure_diversity("t", ideas(10), rows, [0, 9])
    bad = measure_diversity("t", ideas(10), rows, [0, 1])
    # 9 of the 45 pairs hold it: their mean is 0.4. 800 of 1,000 are expected to be beaten, and
    # chance strays from that by 13.
    assert (good.apart, bad.apart) == (pytest.approx(2.0), pytest.approx(0.0))
    assert good.random_mean == pytest.approx(0.4, abs=0.1)
    assert good.random_best == pytest.approx(2.0)
    assert good.beaten == pytest.approx(0.8, abs=0.05)
    assert bad.beaten == 0.0
    assert good == measure_diversity("t", ideas(10), rows, [0, 9])
    assert good != measure_diversity("t", ideas(10), rows, [0, 9], seed=1)


def test_too_few_to_compare_is_not_a_number() -> None:
    one = measure_diversity("t", ideas(1), np.array([UP]), [0])
    assert (one.apart, one.beaten, one.random_mean) == (None, None, None)
    none = measure_diversity("t", [], np.zeros((0, 3)), [])
    assert (none.ideas, none.beaten, none.places) == (0, None, ())


def test_where_all_ideas_are_chosen_there_is_no_other_choice() -> None:
    rows = np.random.default_rng(0).normal(size=(7, 16)).astype(np.float32)
    every = measure_diversity("t", ideas(7), rows, range(7))
    assert every.apart == pytest.approx(by_loops(list(rows)), abs=1e-6)
    assert every.beaten is None
    assert every.random_mean is None
    assert "All 7 ideas were chosen" in comparison(every)


def test_the_map_shows_the_two_directions_of_largest_variance() -> None:
    chance = np.random.default_rng(3)
    points = chance.normal(size=(40, 5)) * np.array([5.0, 1.0, 3.0, 0.5, 0.1])
    spots, shown = flat_map(points)
    # Independently: eigenvectors of the covariance.
    sizes, directions = np.linalg.eigh(np.cov(points.T))
    expected = (points - points.mean(axis=0)) @ directions[:, [-1, -2]]
    for ours, theirs in zip(spots.T, expected.T, strict=True):
        assert np.allclose(ours, theirs) or np.allclose(ours, -theirs)
        assert ours[np.abs(ours).argmax()] > 0
    assert shown == pytest.approx(sizes[[-1, -2]].sum() / sizes.sum())
    same, all_of_it = flat_map(np.ones((4, 5)))
    assert (same.tolist(), all_of_it) == ([[0.0, 0.0]] * 4, 1.0)
    (ours, second), one = flat_map(np.array([[1.0], [3.0], [2.0]]))[0].T, flat_map(np.eye(1))
    assert np.abs(ours) == pytest.approx([1.0, 1.0, 0.0])
    assert second.tolist() == [0.0, 0.0, 0.0]
    assert (one[0].tolist(), one[1]) == ([[0.0, 0.0]], 1.0)


def test_a_map_draws_every_spot_once_with_one_scale_and_the_chosen_large() -> None:
    spots = [
        Spot(x=0.0, y=0.0, tip="<first>", colour=1),
        Spot(x=4.0, y=0.0, tip="second", colour=2, strong=True),
        Spot(x=0.0, y=2.0, tip="third", colour=3),
    ]
    root = ElementTree.fromstring(scatter_chart(spots, title="Map"))
    first, second, third = (dict(node.attrib) for node in root.iter("circle"))
    assert [node.text for node in root.iter("title")] == ["Map", "<first>", "second", "third"]
    across = float(second["cx"]) - float(first["cx"])
    along = float(first["cy"]) - float(third["cy"])
    assert across == pytest.approx(2 * along, abs=0.1)
    assert float(second["r"]) > float(first["r"])
    assert (first["class"], second["class"]) == ("f1 faint", "f2")
    alone = ElementTree.fromstring(scatter_chart(spots[:1], title="Map"))
    assert next(alone.iter("circle")).get("cx") == "380.0"


def test_verbs_and_nouns_are_counted_by_the_rules() -> None:
    found = tally(
        [
            "Replace the linear model with a random forest of 200 trees.",
            "Then increase the learning rate, and replace ridge; scale all inputs",
            "Scale\nFinally, add batches to the model to increase accuracy.",
        ]
    )
    assert found.texts == 3
    assert found.verbs == {"increase": 2, "replace": 2, "scale": 2, "add": 1}
    assert found.nouns == dict.fromkeys(["model"], 2) | dict.fromkeys(
        ["accuracy", "batch", "forest", "input", "rate", "ridge", "tree"], 1
    )
    assert tally([]).verbs == tally(["..."]).nouns == {}


def test_the_report_is_one_page_and_its_figures(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(12, 6))
    named = [
        measure_diversity(
            "house-prices", ideas(12, "<b>Try"), rows, [1, 4], instructions=["Add a feature."]
        ),
        measure_diversity("empty", [], np.zeros((0, 3)), []),
    ]
    path = write_diversity(tmp_path, Diversities(rule="fps", tasks=tuple(named)))
    assert path == tmp_path / "diversity.html"
    page = path.read_text()
    assert page.count("<circle") == 12
    assert "The 2 chosen of 12 ideas are" in page
    assert "1 different verbs of the edit instructions (1): add 1" in page
    assert "There are no ideas." in page
    assert "<b>Try" not in page
    assert "http" not in page.replace("http-equiv", "")
    kept = Diversities.model_validate(json.loads((tmp_path / "diversity.json").read_text()))
    assert kept.tasks == tuple(named)


def test_the_chosen_ten_of_the_playbook_beat_a_thousand_random_tens() -> None:
    from ml_agent.agents.playbook import IDEAS
    from ml_agent.models.encoder import encode
    from ml_agent.train.exploration import farthest_point_selection, mean_distance_selection

    rows = encode([idea.text for idea in IDEAS])
    farthest = measure_diversity("playbook", IDEAS, rows, farthest_point_selection(rows, 10))
    assert farthest.beaten == 1.0
    # The older rule looks at all ideas and not at the others it has chosen: two of its ten may be
    # alike, and a few random tens are better.
    loners = measure_diversity("playbook", IDEAS, rows, mean_distance_selection(rows, 10))
    assert loners.beaten is not None
    assert loners.beaten >= 0.99
