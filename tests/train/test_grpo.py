"""Group-relative updates on a tiny model."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ml_agent.core.errors import TrainingError, UsageError
from ml_agent.core.records import Completion, Message
from ml_agent.models import Sampling
from ml_agent.train.grpo import GRPOConfig, grpo_update
from ml_agent.train.packing import Tokens
from ml_agent.train.policy import Policy
from ml_agent.train.update import Group

PROMPT = (Message(role="user", text="Say something."),)


def _sampled(
    policy: Policy, *, seed: int = 0, samples: int = 8, temperature: float = 1.0
) -> tuple[Completion, ...]:
    sampling = Sampling(max_tokens=6, samples=samples, temperature=temperature)
    (answers,) = policy.sampler("p").sample([PROMPT], sampling, seed=seed)
    return tuple(answers)


def _group(policy: Policy, rewards: list[float | None], *, temperature: float = 1.0) -> Group:
    found = _sampled(policy, samples=len(rewards), temperature=temperature)
    return Group(prompt=PROMPT, completions=found, rewards=tuple(rewards))


def _weights(policy: Policy) -> list[torch.Tensor]:
    return [weights.detach().clone() for weights in policy.trained]


def test_practice_raises_the_reward_of_a_preferred_letter(tiny_model: Path) -> None:
    policy = Policy.load(str(tiny_model))

    def reward(completion: Completion) -> float:
        even = [token % 2 == 0 for token in completion.token_ids]
        return sum(even) / len(even)

    means = []
    for update in range(12):
        found = _sampled(policy, seed=update, samples=16)
        rewards = tuple(reward(completion) for completion in found)
        means.append(sum(rewards) / len(rewards))
        group = Group(prompt=PROMPT, completions=found, rewards=rewards)
        grpo_update(policy, [group], GRPOConfig(lr=0.01))
    assert sum(means[-3:]) / 3 > sum(means[:3]) / 3 + 0.2


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_first_update_starts_at_ratio_one_and_no_divergence(
    tiny_model: Path, temperature: float
) -> None:
    policy = Policy.load(str(tiny_model))
    group = _group(policy, [1.0, 0.0, 0.0], temperature=temperature)
    figures = grpo_update(policy, [group], GRPOConfig(temperature=temperature))
    assert figures["ratio_mean"] == pytest.approx(1, abs=1e-4)
    assert figures["ratio_max"] == pytest.approx(1, abs=1e-3)
    assert figures["kl"] == pytest.approx(0, abs=1e-6)
    assert figures["clip_share"] == 0
    assert figures["advantage_spread"] == pytest.approx(2 / 3)


def test_the_gradient_is_that_of_the_formula_row_by_row(tiny_model: Path) -> None:
    """Without clipping or KL, at ratio one: sum_i A_i grad log pi_i / tokens."""
    policy = Policy.load(str(tiny_model), weights="full")
    group = _group(policy, [1.0, 0.25, 0.0])
    prompt = policy.chat.prompt_ids(PROMPT)
    mean = 1.25 / 3
    count = sum(len(one.token_ids) for one in group.completions)
    loss = torch.zeros(())
    for completion, reward in zip(group.completions, group.rewards, strict=True):
        tokens = Tokens(prompt=prompt, completions=(completion.token_ids,))
        assert reward is not None
        loss = loss - (reward - mean) * policy.token_logprobs([tokens]).sum() / count
    loss.backward()
    expected = math.sqrt(sum(float(w.grad.square().sum()) for w in policy.trained))
    figures = grpo_update(policy, [group], GRPOConfig(lr=1e-6, kl=0.0))
    assert figures["grad_norm"] == pytest.approx(expected, rel=1e-3)
    assert figures["kl"] is None


def test_actions_of_attempts_are_compared_with_all_attempts_and_weighed(tiny_model: Path) -> None:
    """Each has a prompt of its own: sum_i w_i (R_i - mean R) grad log pi_i / tokens."""
    policy = Policy.load(str(tiny_model), weights="full")
    found = _sampled(policy, samples=3)
    returns, weights, mean = (1.5, 0.5, 0.25), (0.5, 2.0, 1.0), 0.75
    prompts = [(*PROMPT, Message(role="assistant", text="x" * n)) for n in range(1, 4)]
    count = sum(len(one.token_ids) for one in found)
    loss = torch.zeros(())
    for prompt, one, earned, weight in zip(prompts, found, returns, weights, strict=True):
        tokens = Tokens(prompt=policy.chat.prompt_ids(prompt), completions=(one.token_ids,))
        logprobs = policy.token_logprobs([tokens])
        # Sampled elsewhere: the ratio to what is recorded is not one, and nothing clips it here.
        ratio = (logprobs - torch.tensor(one.logprobs)).exp()
        loss = loss - weight * (earned - mean) * ratio.sum() / count
    loss.backward()
    expected = math.sqrt(sum(float(w.grad.square().sum()) for w in policy.trained))
    groups = [
        Group(prompt=prompt, completions=(one,), rewards=(r,), baseline=mean, weights=(w,))
        for prompt, one, r, w in zip(prompts, found, returns, weights, strict=True)
    ]
    free = GRPOConfig(lr=1e-6, kl=0.0, eps_low=1 - 1e-9, eps_high=1e9)
    figures = grpo_update(policy, groups, free)
    assert figures["grad_norm"] == pytest.approx(expected, rel=1e-3)
    assert figures["clip_share"] == 0
    assert figures["advantage_spread"] == pytest.approx((0.75 + 0.25 + 0.5) / 3)


def test_groups_without_spread_train_nothing_and_are_counted(tiny_model: Path) -> None:
    policy = Policy.load(str(tiny_model))
    before = _weights(policy)
    groups = [_group(policy, [0.5, 0.5, 0.5]), _group(policy, [None, 1.0, None])]
    figures = grpo_update(policy, groups, GRPOConfig())
    assert figures["zero_spread_groups"] == 1
    assert figures["loss"] is None
    assert figures["tokens"] == 0
    assert all(torch.equal(a, b) for a, b in zip(before, policy.trained, strict=True))


def test_our_failure_changes_nothing_about_the_others(tiny_model: Path) -> None:
    moved = []
    for extra in (False, True):
        policy = Policy.load(str(tiny_model))
        group = _group(policy, [1.0, 0.0, 0.5])
        if extra:
            lost = replace(
                group,
                completions=(*group.completions, Completion(text="", policy="p")),
                rewards=(*group.rewards, None),
            )
            group = lost
        grpo_update(policy, [group], GRPOConfig())
        moved.append(_weights(policy))
    assert all(torch.equal(a, b) for a, b in zip(*moved, strict=True))


def test_minibatches_and_epochs_make_that_many_steps(tiny_model: Path) -> None:
    policy = Policy.load(str(tiny_model))
    groups = [_group(policy, [1.0, 0.0]) for _ in range(3)]
    grpo_update(policy, groups, GRPOConfig(minibatches=2, epochs=2))
    optimizer = policy.optimizer(1e-4)
    assert float(optimizer.state[policy.trained[0]]["step"]) == 4


def test_actions_without_logprobs_cannot_be_trained_on(tiny_model: Path) -> None:
    policy = Policy.load(str(tiny_model))
    said = tuple(Completion(text=text, policy="played") for text in "ab")
    group = Group(prompt=PROMPT, completions=said, rewards=(0.0, 1.0))
    with pytest.raises(TrainingError, match="carries no log-probabilities"):
        grpo_update(policy, [group], GRPOConfig())


def test_impossible_figures_are_refused() -> None:
    with pytest.raises(UsageError, match="eps_low"):
        GRPOConfig(eps_low=1.0)
    with pytest.raises(UsageError, match="kl zero or more"):
        GRPOConfig(kl=-1)
    with pytest.raises(UsageError, match="temperature must be positive"):
        GRPOConfig(temperature=0.0)
    with pytest.raises(UsageError, match="at least 1"):
        GRPOConfig(epochs=0)
