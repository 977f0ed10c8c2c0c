"""What attempts earned, what is learned from each of their actions, and how much it counts."""

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Literal

import pytest

from ml_agent.core.actions import ExecuteScript
from ml_agent.core.errors import TrainingError
from ml_agent.core.records import Completion, End, Execution, Message, Step, Trajectory
from ml_agent.store import Sample
from ml_agent.train.figures import describe, scripts
from ml_agent.train.tries import Tries, duration_weights


def sample(
    said: str,
    reward: float | None,
    *,
    attempt: str = "a",
    t: int = 0,
    wall_s: float | None = 1.0,
    killed_by: Literal["time"] | None = None,
) -> Sample:
    ran = Execution(exit_code=0, killed_by=killed_by, output="", wall_s=wall_s or 0, cpu_s=0)
    step = Step(
        prompt=(t,),
        completion=Completion(text=said, policy="p", token_ids=(1,), logprobs=(0.0,)),
        action=ExecuteScript(script_name="a.py") if wall_s else None,
        execution=ran if wall_s else None,
        score=0.5,
    )
    failure = "SandboxError: x" if reward is None else None
    return Sample(update=1, trajectory=attempt, t=t, step=step, reward=reward, failure=failure)


def attempt(name: str, rewards: Sequence[float | None]) -> list[Sample]:
    return [sample(f"{name}{t}", r, attempt=name, t=t) for t, r in enumerate(rewards)]


def seen(*names: str, steps: int = 3) -> dict[str, Trajectory]:
    """Attempts that begin alike and then see different things."""
    return {
        name: Trajectory(
            id=name,
            task="t",
            seed=0,
            policy="p",
            versions={},
            workspace="w",
            messages=tuple(
                Message(role="user", text=f"{name if t else ''}{t}") for t in range(steps)
            ),
            steps=tuple(sample("", 0.0, t=t).step for t in range(steps)),
            end=End.OUT_OF_BUDGET,
        )
        for name in names
    }


def worths(tries: Tries, names: Sequence[str], *, whole_returns: bool) -> dict[str, float]:
    """By what was said, the reward that an algorithm is given."""
    groups = tries.groups(seen(*names), whole_returns=whole_returns, by_duration=False)
    return {
        completion.text: reward
        for group in groups
        for completion, reward in zip(group.completions, group.rewards, strict=True)
        if reward is not None
    }


ATTEMPTS = [*attempt("a", [0.5, 1.0, 0.0]), *attempt("b", [0.5]), *attempt("c", [0.0, 0.25])]


def test_grpo_gives_every_action_of_an_attempt_what_it_earned_in_all() -> None:
    tries = Tries(ATTEMPTS, a_state=3, whole=True)
    assert tries.returns() == [[1.5, 0.5, 0.25]]
    assert worths(tries, "abc", whole_returns=True) == {
        **dict.fromkeys(["a0", "a1", "a2"], 1.5),
        "b0": 0.5,
        **dict.fromkeys(["c0", "c1"], 0.25),
    }
    groups = tries.groups(seen(*"abc"), whole_returns=True, by_duration=False)
    assert {group.baseline for group in groups} == {2.25 / 3}


def test_ppo_gives_an_action_what_was_earned_from_it_on() -> None:
    tries = Tries(ATTEMPTS, a_state=3, whole=True)
    assert worths(tries, "abc", whole_returns=False) == {
        "a0": 1.5,
        "a1": 1.0,
        "a2": 0.0,
        "b0": 0.5,
        "c0": 0.25,
        "c1": 0.25,
    }


def test_first_actions_are_computed_together_as_they_share_their_prompt() -> None:
    groups = Tries(ATTEMPTS, a_state=3, whole=True).groups(
        seen(*"abc"), whole_returns=True, by_duration=False
    )
    said = [[completion.text for completion in group.completions] for group in groups]
    assert said == [["a0", "b0", "c0"], ["a1"], ["a2"], ["c1"]]


def test_tasks_are_groups_of_their_own_even_if_they_are_drawn_twice() -> None:
    tries = Tries([*ATTEMPTS, *attempt("d", [1.0])], a_state=2, whole=True)
    assert tries.returns() == [[1.5, 0.5], [0.25, 1.0]]
    groups = tries.groups(seen(*"abcd"), whole_returns=True, by_duration=False)
    assert [group.baseline for group in groups] == [1.0, 1.0, 1.0, 0.625, 0.625]


def test_what_comes_before_our_own_failure_trains_nothing() -> None:
    broken = [*attempt("a", [1.0, 0.5, None]), *attempt("b", [0.5, 0.25])]
    tries = Tries(broken, a_state=2, whole=True)
    assert tries.returns() == [[None, 0.75]]
    assert tries.failures == ["SandboxError: x"]
    for whole_returns in (True, False):
        assert set(worths(tries, "ab", whole_returns=whole_returns)) == {"b0", "b1"}
    (group, _) = tries.groups(seen(*"ab"), whole_returns=True, by_duration=False)
    assert group.baseline == 0.75
    figures = describe(["t"], tries)
    assert figures["broken"] == 1
    assert figures["return"] == 0.75
    assert figures["reward"] == 2.25 / 4
    # All of them are runs of a script that was not edited.
    assert (figures["case_neutral"], figures["reward_case_neutral"]) == (1, 2.25 / 4)


def test_what_was_not_known_in_time_trains_nothing_and_is_no_failure_of_ours() -> None:
    late = sample("late", None).model_copy(update={"failure": None})
    tries = Tries([sample("a", 0.0), late, sample("b", 1.0)], a_state=3, whole=False)
    assert (tries.failures, tries.broken) == ([], 0)
    assert tries.returns() == [[0.0, None, 1.0]]
    (group,) = tries.groups(seen("a"), whole_returns=True, by_duration=False)
    assert [one.text for one in group.completions] == ["a", "b"]
    assert group.baseline == 0.5
    figures = describe(["t"], tries)
    assert (figures["broken"], figures["reward"]) == (0, 0.5)


def test_a_masked_limit_leaves_only_what_came_after_it() -> None:
    samples = [
        sample("a0", 0.5, t=0),
        sample("a1", 0.5, t=1, killed_by="time"),
        sample("a2", 1.0, t=2),
    ]
    masked = Tries(samples, a_state=1, whole=True, masked=True)
    assert masked.returns() == [[None]]
    assert worths(masked, "a", whole_returns=False) == {"a2": 1.0}
    assert worths(masked, "a", whole_returns=True) == {}
    assert Tries(samples, a_state=1, whole=True).returns() == [[2.0]]


def test_in_step_mode_every_action_is_a_try_even_in_states_of_one_attempt() -> None:
    samples = [sample(f"{t}{n}", n / 2, t=t) for t in (0, 1) for n in range(3)]
    samples[2] = sample("02", None)
    tries = Tries(samples, a_state=3, whole=False)
    assert tries.returns() == [[0.0, 0.5, None], [0.0, 0.5, 1.0]]
    first, second = tries.groups(seen("a"), whole_returns=True, by_duration=False)
    assert (first.rewards, first.baseline) == ((0.0, 0.5), 0.25)
    assert (second.rewards, second.baseline) == ((0.0, 0.5, 1.0), 0.5)
    assert first.weights is None
    assert scripts(one.step for one in samples) == 6


def test_an_action_weighs_what_its_experiment_took_over_the_mean() -> None:
    samples = [
        sample("fast", 0.5, wall_s=1.0),
        sample("slow", 1.0, wall_s=4.0),
        sample("half", 0.5, wall_s=2.0),
        sample("invalid", 0.0, wall_s=None),
        sample("ours", None, wall_s=99.0),
    ]
    (group,) = Tries(samples, a_state=5, whole=False).groups(
        seen("a"), whole_returns=True, by_duration=True
    )
    said = [completion.text for completion in group.completions]
    # The mean of 1, 4 and 2 is 7/3.
    assert dict(zip(said, group.weights or (), strict=True)) == pytest.approx(
        {"fast": 3 / 7, "slow": 12 / 7, "half": 6 / 7, "invalid": 1.0}
    )


def test_without_any_experiment_all_weigh_the_same() -> None:
    samples = [sample("x", 0.0, wall_s=None)] * 2
    assert Counter(map(duration_weights(samples), samples)) == {1.0: 2}


@pytest.mark.parametrize(
    ("tried", "broken", "stops"), [(16, 7, False), (16, 8, True), (100, 33, False), (100, 34, True)]
)
def test_practice_stops_where_chance_does_not_explain_so_many_failures_of_ours(
    tried: int, broken: int, stops: bool
) -> None:
    """A quarter may fail, and two standard deviations more: 4 + 3.46 of 16, 25 + 8.66 of 100."""
    made = [sample("a", None if place < broken else 0.0, t=place) for place in range(tried)]
    tries = Tries(made, a_state=4, whole=False)
    said = pytest.raises(TrainingError, match=f"{broken} of {tried} actions of an update failed")
    with said if stops else nullcontext():
        tries.alarm_if_broken(at_most=0.25)
