"""Updates with a critic on a tiny model."""

import math
from pathlib import Path

import pytest
import torch

from ml_agent.core.errors import UsageError
from ml_agent.core.records import Completion, Message
from ml_agent.models import Sampling
from ml_agent.train.packing import Tokens
from ml_agent.train.policy import Policy
from ml_agent.train.ppo import PPO, PPOConfig
from ml_agent.train.update import Group

PROMPT = (Message(role="user", text="Say something."),)


def _sampled(policy: Policy, seed: int, samples: int = 8) -> tuple[Completion, ...]:
    sampling = Sampling(max_tokens=6, samples=samples)
    (answers,) = policy.sampler("p").sample([PROMPT], sampling, seed=seed)
    return tuple(answers)


def _alone(policy: Policy, rewards: list[float | None], seed: int = 0) -> list[Group]:
    """One action a state, as in the paper."""
    found = _sampled(policy, seed, len(rewards))
    return [
        Group(prompt=PROMPT, completions=(one,), rewards=(reward,))
        for one, reward in zip(found, rewards, strict=True)
    ]


def test_practice_raises_the_reward_of_a_preferred_letter_and_the_critic_sees_it_coming(
    tiny_model: Path,
) -> None:
    policy = Policy.load(str(tiny_model))
    learner = PPO(policy, PPOConfig(lr=0.01, critic_lr=0.02))
    means: list[float] = []
    missed: list[float] = []
    for update in range(12):
        found = _sampled(policy, update, 16)
        rewards = tuple(
            sum(t % 2 == 0 for t in one.token_ids) / len(one.token_ids) for one in found
        )
        means.append(sum(rewards) / len(rewards))
        figures = learner.update([Group(prompt=PROMPT, completions=found, rewards=rewards)])
        assert figures["value_error"] is not None
        tokens = [r for one, r in zip(found, rewards, strict=True) for _ in one.token_ids]
        nothing_expected = math.sqrt(sum(r * r for r in tokens) / len(tokens))
        missed.append(figures["value_error"] / nothing_expected)
    assert sum(means[-3:]) / 3 > sum(means[:3]) / 3 + 0.2
    # It begins by expecting nothing; at the end it misses by less than half of that.
    assert missed[0] == pytest.approx(1, abs=1e-5)
    assert max(missed[-3:]) < 0.5


def test_the_gradient_is_that_of_the_formula_row_by_row(tiny_model: Path) -> None:
    """At ratio one, with a critic that expects 0 and no whitening: sum_i R_i grad log pi_i / n."""
    policy = Policy.load(str(tiny_model), weights="full")
    groups = _alone(policy, [1.0, 0.25, None])
    prompt = policy.chat.prompt_ids(PROMPT)
    kept = groups[:2]
    count = sum(len(one.completions[0].token_ids) for one in kept)
    loss = torch.zeros(())
    for group, reward in zip(kept, (1.0, 0.25), strict=True):
        tokens = Tokens(prompt=prompt, completions=(group.completions[0].token_ids,))
        loss = loss - reward * policy.token_logprobs([tokens]).sum() / count
    loss.backward()
    expected = math.sqrt(sum(float(w.grad.square().sum()) for w in policy.trained))
    learner = PPO(policy, PPOConfig(lr=1e-6, kl=0.0, whiten=False))
    figures = learner.update(groups)
    assert figures["grad_norm"] == pytest.approx(expected, rel=1e-3)
    assert figures["value_mean"] == 0


def test_whitened_advantages_have_mean_zero_so_equal_rewards_teach_nothing(
    tiny_model: Path,
) -> None:
    policy = Policy.load(str(tiny_model))
    # In float32 the mean of these differs from each of them, by rounding.
    figures = PPO(policy, PPOConfig(kl=0.0)).update(_alone(policy, [0.2] * 4))
    assert figures["grad_norm"] == pytest.approx(0, abs=1e-3)
    assert figures["advantage_spread"] == pytest.approx(0, abs=1e-6)


def test_nothing_known_trains_nothing(tiny_model: Path) -> None:
    policy = Policy.load(str(tiny_model))
    before = [weights.detach().clone() for weights in policy.trained]
    figures = PPO(policy, PPOConfig()).update(_alone(policy, [None, math.nan]))
    assert figures["loss"] is None
    assert all(torch.equal(a, b) for a, b in zip(before, policy.trained, strict=True))


def test_a_checkpoint_brings_back_the_critic_so_that_both_go_on_alike(
    tiny_model: Path, tmp_path: Path
) -> None:
    policy = Policy.load(str(tiny_model))
    policy.save(tmp_path / "sft")
    learner = PPO(policy, PPOConfig(lr=0.01))
    learner.update(_alone(policy, [1.0, 0.0, 0.5]))
    policy.save(tmp_path / "step-1", step=1, beside=learner.state())

    other = Policy.load(str(tiny_model), seed=5)
    other.start_from(tmp_path / "sft")
    step, beside = other.go_on_from(tmp_path / "step-1")
    again = PPO(other, PPOConfig(lr=0.01))
    again.restore(beside)
    assert step == 1
    for one, its in ((policy, learner), (other, again)):
        its.update(_alone(one, [0.0, 1.0, 0.25], seed=3))
    assert all(torch.equal(a, b) for a, b in zip(policy.trained, other.trained, strict=True))
    assert learner.state().keys() == again.state().keys()
    assert all(torch.equal(learner.state()[key], again.state()[key]) for key in learner.state())


def test_impossible_figures_are_refused() -> None:
    with pytest.raises(UsageError, match="ppo: eps_low"):
        PPOConfig(eps_low=1.0)
    with pytest.raises(UsageError, match="critic_lr and value_clip"):
        PPOConfig(critic_lr=0)
    with pytest.raises(UsageError, match="gamma and lam"):
        PPOConfig(lam=1.5)
