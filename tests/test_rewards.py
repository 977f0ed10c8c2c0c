"""The reward table of the paper, value by value, computed by hand."""

import math

import pytest

from made_records import CRASHED, EDIT, RAN, RUN, TIMED_OUT, made_step, made_task, made_trajectory
from ml_agent.core.actions import Action, CopyFile, FinalAnswer, ListFiles
from ml_agent.core.errors import UsageError
from ml_agent.core.records import Execution, Step, Task, Trajectory
from ml_agent.rewards import Case, Gain, Linear, Sigmoid, case_of, reward_named


def task(m_init: float = 0.5, m_best: float = 0.9, *, higher: bool = True) -> Task:
    return made_task(m_init=m_init, m_best=m_best, higher=higher)


def step(
    action: Action | None, execution: Execution | None = None, score: float | None = None
) -> Step:
    return made_step(action, execution, score)


def after(*steps: Step) -> Trajectory:
    return made_trajectory(steps)


@pytest.mark.parametrize(
    ("share_of_range", "worth"),
    [
        (0.0, 0.5),
        (0.01, 0.731),
        (0.02, 0.881),
        (0.05, 0.993),
        (0.10, 1.000),
        (-0.05, 0.0067),
    ],
)
def test_the_sigmoid_has_the_values_computed_from_the_paper(
    share_of_range: float, worth: float
) -> None:
    done = after(step(EDIT, RAN, 0.5 + share_of_range * 0.4))
    assert Sigmoid()(task(), done, 0) == pytest.approx(worth, abs=5e-4)


@pytest.mark.parametrize(
    ("taken", "case", "sigmoid", "linear", "gain"),
    [
        (step(None), Case.INVALID, 0.0, -1.0, -0.5),
        (step(EDIT, CRASHED), Case.ERROR, 0.0, -1.0, 0.0),
        (step(EDIT, RAN, None), Case.ERROR, 0.0, -1.0, 0.0),
        (step(RUN, CRASHED), Case.ERROR, 0.0, -1.0, 0.0),
        (step(RUN, RAN, None), Case.ERROR, 0.0, -1.0, 0.0),
        (step(EDIT, TIMED_OUT), Case.CORNER, 0.5, 0.0, 0.0),
        (step(RUN, TIMED_OUT), Case.CORNER, 0.5, 0.0, 0.0),
        (step(RUN, RAN, 0.9), Case.NEUTRAL, 0.5, 0.0, 0.0),
        (step(ListFiles()), Case.NEUTRAL, 0.5, 0.0, 0.0),
        (step(CopyFile(source="a", destination="b")), Case.NEUTRAL, 0.5, 0.0, 0.0),
        (step(FinalAnswer()), Case.NEUTRAL, 0.5, 0.0, 0.0),
        (step(EDIT, RAN, 0.7), Case.EDIT, 1.0, 0.5, 0.8093),
        (step(EDIT, None), Case.UNKNOWN, None, None, None),
    ],
)
def test_every_case_has_its_worth(
    taken: Step, case: Case, sigmoid: float | None, linear: float | None, gain: float | None
) -> None:
    assert case_of(taken) is case
    assert Sigmoid()(task(), after(taken), 0) == pytest.approx(sigmoid)
    assert Linear()(task(), after(taken), 0) == pytest.approx(linear)
    assert Gain()(task(), after(taken), 0) == pytest.approx(gain, abs=5e-5)


def test_a_change_counts_from_the_last_known_score() -> None:
    done = after(
        step(EDIT, RAN, 0.7), step(EDIT, CRASHED), step(RUN, CRASHED), step(EDIT, RAN, 0.6)
    )
    assert Linear()(task(), done, 3) == pytest.approx((0.6 - 0.7) / 0.4)


@pytest.mark.parametrize(
    ("share_of_range", "worth"),
    # 0.2 + 0.8 (e^2x - 1) / (e^2x + 1) with x = 2 d, by hand.
    [(0.02, 0.2320), (0.10, 0.3579), (0.30, 0.6296), (1.0, 0.9712), (0.0, 0.2), (-0.3, 0.2)],
)
def test_gain_pays_little_for_what_runs_and_most_for_an_improvement(
    share_of_range: float, worth: float
) -> None:
    done = after(step(EDIT, RAN, 0.5 + share_of_range * 0.4))
    assert Gain()(task(), done, 0) == pytest.approx(worth, abs=5e-5)


def test_gain_pays_nothing_for_taking_back_what_made_the_score_worse() -> None:
    done = after(step(EDIT, RAN, 0.6), step(EDIT, RAN, 0.3), step(EDIT, RAN, 0.6))
    assert Gain()(task(), done, 2) == pytest.approx(0.2)
    assert Sigmoid()(task(), done, 2) == pytest.approx(1.0)
    # 0.04 of 0.4 above the best before it, 0.6.
    above = after(step(EDIT, RAN, 0.6), step(EDIT, RAN, 0.3), step(EDIT, RAN, 0.64))
    assert Gain()(task(), above, 2) == pytest.approx(0.3579, abs=5e-5)
    # Where lower is better, the first script is the best before a first step that lost.
    error = task(m_init=10.0, m_best=6.0, higher=False)
    back = after(step(EDIT, RAN, 11.0), step(EDIT, RAN, 10.0))
    assert Gain()(error, back, 1) == pytest.approx(0.2)


def test_lower_is_better_turns_the_sign() -> None:
    error = task(m_init=10.0, m_best=6.0, higher=False)
    better, worse = after(step(EDIT, RAN, 9.0)), after(step(EDIT, RAN, 11.0))
    assert Linear()(error, better, 0) == pytest.approx(0.25)
    assert Linear()(error, worse, 0) == pytest.approx(-0.25)
    assert Sigmoid()(error, better, 0) == pytest.approx(1.0, abs=1e-6)


def test_linear_is_clipped_unless_asked_otherwise() -> None:
    blown_up = after(step(EDIT, RAN, 0.5 - 4.0))
    assert Linear()(task(), blown_up, 0) == -1.0
    assert Linear(clip=None)(task(), blown_up, 0) == pytest.approx(-10.0)
    assert Linear()(task(), after(step(EDIT, RAN, 4.5)), 0) == 1.0


def test_a_huge_change_does_not_overflow() -> None:
    assert Sigmoid()(task(), after(step(EDIT, RAN, 1e12)), 0) == 1.0
    assert Sigmoid()(task(), after(step(EDIT, RAN, -1e12)), 0) == 0.0
    assert not math.isnan(Sigmoid()(task(), after(step(EDIT, RAN, -1e300)), 0) or 0.0)


def test_an_unknown_reward_is_a_wrong_call() -> None:
    with pytest.raises(UsageError, match="choose sigmoid, linear or gain"):
        reward_named("cubic")
