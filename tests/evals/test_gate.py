"""Whether a policy takes the place of another: only if its attempts are surely better."""

import pytest
from made_attempts import result

from ml_agent.evals import AttemptResult
from ml_agent.evals.gate import verdict


def attempts(*gains: float | None) -> list[AttemptResult]:
    """Three a task, with seeds 0 to 2."""
    return [
        result(f"task-{place // 3}", place % 3, gain).model_copy(update={"task": f"t{place // 3}"})
        for place, gain in enumerate(gains)
    ]


OLD = attempts(0.1, 0.2, 0.3, 0.0, 0.0, 0.4)


@pytest.mark.parametrize(
    ("new", "kept", "said"),
    [
        # Each is better by 0.3.
        ((0.4, 0.5, 0.6, 0.3, 0.3, 0.7), True, "above the old one: new minus old is +0.300"),
        ((-0.2, -0.1, 0.0, -0.3, -0.3, 0.1), False, "below the old one: new minus old is -0.300"),
        ((0.1, 0.2, 0.3, 0.0, 0.0, 0.4), False, "cannot be told apart: new minus old is +0.000"),
        ((0.9, 0.2, 0.3, 0.0, 0.0, 0.0), False, "cannot be told apart"),
    ],
)
def test_only_what_is_surely_better_is_kept(new: tuple[float, ...], kept: bool, said: str) -> None:
    found = verdict(OLD, attempts(*new))
    assert found.kept is kept
    assert said in found.why
    assert "in 6 pairs of attempts at 2 held-out tasks" in found.why


def test_a_few_lucky_pairs_decide_nothing() -> None:
    # Broken attempts make no pair, so four are left.
    found = verdict(OLD, attempts(0.9, 0.9, 0.9, 0.9, None, None))
    assert not found.kept
    assert "4 pairs of attempts can be compared, and 5 are the least" in found.why
    assert verdict([], OLD).difference is None
