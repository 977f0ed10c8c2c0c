"""Losses: values by hand, and an independent implementation in plain Python."""

import math
import random

import pytest
import torch

from ml_agent.train.losses import (
    clipped_surrogate,
    clipped_value_loss,
    generalised_advantages,
    group_advantages,
    k3_divergence,
    negative_log_likelihood,
)

NAN = math.nan


def test_advantages_are_rewards_less_the_groups_mean_and_not_divided() -> None:
    rewards = torch.tensor([[1.0, 0.0, 0.5, 0.5], [3.0, 1.0, 1.0, 1.0]])
    expected = [[0.5, -0.5, 0.0, 0.0], [1.5, -0.5, -0.5, -0.5]]
    assert group_advantages(rewards).tolist() == expected


def test_an_unknown_reward_has_no_gradient_and_no_say_in_the_mean() -> None:
    rewards = torch.tensor([[1.0, NAN, 0.0], [NAN, NAN, NAN], [NAN, 2.0, NAN]])
    assert group_advantages(rewards).tolist() == [[0.5, 0.0, -0.5], [0.0] * 3, [0.0] * 3]


def test_the_clipped_surrogate_by_hand() -> None:
    ratios = [1.0, 1.5, 1.5, 0.5, 0.5]
    advantages = [2.0, 2.0, -2.0, 2.0, -2.0]
    # min(rho A, clip A): 2; clipped 1.2*2; -3; 1; clipped 0.8*-2.
    expected = -(2 + 2.4 - 3 + 1 - 1.6) / 10
    old = torch.zeros(5)
    new = torch.tensor(ratios).log().requires_grad_()
    found = clipped_surrogate(
        new, old, torch.tensor(advantages), eps_low=0.2, eps_high=0.2, denominator=10
    )
    assert float(found.loss.detach()) == pytest.approx(expected, abs=1e-6)
    assert found.clipped_S.tolist() == [False, True, False, False, True]
    found.loss.backward()
    # d/dlogp of -rho A / 10 where free, 0 where clipped.
    assert new.grad is not None
    assert new.grad.tolist() == pytest.approx([-0.2, 0.0, 0.3, -0.1, 0.0], abs=1e-6)


def test_the_upper_bound_can_be_wider_than_the_lower() -> None:
    found = clipped_surrogate(
        torch.tensor([1.27, 0.75]).log(),
        torch.zeros(2),
        torch.tensor([1.0, -1.0]),
        eps_low=0.2,
        eps_high=0.28,
        denominator=1,
    )
    assert float(found.loss) == pytest.approx(-(1.27 - 0.8), abs=1e-6)


def test_the_surrogate_agrees_with_plain_python_on_random_tokens() -> None:
    dice = random.Random(0)
    new = [dice.uniform(-3, 0) for _ in range(200)]
    old = [p + dice.gauss(0, 0.3) for p in new]
    advantages = [dice.gauss(0, 1) for _ in range(200)]
    total = 0.0
    for p, q, a in zip(new, old, advantages, strict=True):
        rho = math.exp(p - q)
        total += min(rho * a, min(max(rho, 0.8), 1.28) * a)
    found = clipped_surrogate(
        torch.tensor(new),
        torch.tensor(old),
        torch.tensor(advantages),
        eps_low=0.2,
        eps_high=0.28,
        denominator=200,
    )
    assert float(found.loss) == pytest.approx(-total / 200, abs=1e-6)


def test_the_gradient_of_the_surrogate_is_that_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    old = -torch.rand(6, generator=generator, dtype=torch.float64)
    advantages = torch.randn(6, generator=generator, dtype=torch.float64)
    start = old + 0.1 * torch.randn(6, generator=generator, dtype=torch.float64)

    def loss(logprobs: torch.Tensor) -> torch.Tensor:
        return clipped_surrogate(
            logprobs, old, advantages, eps_low=0.2, eps_high=0.2, denominator=6
        ).loss

    assert torch.autograd.gradcheck(loss, (start.requires_grad_(),))


def test_k3_by_hand_is_zero_at_equality_and_positive_elsewhere() -> None:
    found = k3_divergence(torch.tensor([-1.0, -1.0, -2.0]), torch.tensor([-1.0, -2.0, -1.0]))
    assert found.tolist() == pytest.approx([0.0, math.exp(-1), math.e - 2], abs=1e-6)


def test_k3_has_the_mean_of_the_true_divergence() -> None:
    policy, reference = [0.7, 0.2, 0.1], [0.5, 0.25, 0.25]
    true = sum(p * math.log(p / q) for p, q in zip(policy, reference, strict=True))
    found = k3_divergence(torch.tensor(policy).log(), torch.tensor(reference).log())
    assert float((torch.tensor(policy) * found).sum()) == pytest.approx(true, abs=1e-6)


def test_the_likelihood_loss_is_summed_and_divided_once() -> None:
    logprobs = torch.tensor([-1.0, -2.0, -3.0])
    assert float(negative_log_likelihood(logprobs, denominator=4)) == pytest.approx(1.5)


def test_advantages_with_a_critic_by_hand() -> None:
    rewards, values = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([0.5, 0.25, 0.75])
    # gamma = lambda = 1: the return, 1 everywhere, less the value.
    plain = generalised_advantages(rewards, values, gamma=1.0, lam=1.0)
    assert plain.tolist() == [0.5, 0.75, 0.25]
    # lambda = 0: the surprise of one step, r + 0.5 V' - V.
    short = generalised_advantages(rewards, values, gamma=0.5, lam=0.0)
    assert short.tolist() == [-0.375, 0.125, 0.25]
    # In between, from the end: 0.25; 0.125 + 0.25 * 0.25; -0.375 + 0.25 * 0.1875.
    mixed = generalised_advantages(rewards, values, gamma=0.5, lam=0.5)
    assert mixed.tolist() == [-0.328125, 0.1875, 0.25]


def test_advantages_with_a_critic_agree_with_the_sum_that_defines_them() -> None:
    dice = random.Random(0)
    rewards, values = ([dice.random() for _ in range(9)] for _ in range(2))
    gamma, lam = 0.9, 0.7
    after = [*values[1:], 0.0]
    surprise = [r + gamma * a - v for r, v, a in zip(rewards, values, after, strict=True)]
    expected = [sum((gamma * lam) ** k * surprise[t + k] for k in range(9 - t)) for t in range(9)]
    found = generalised_advantages(
        torch.tensor(rewards), torch.tensor(values), gamma=gamma, lam=lam
    )
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


def test_the_value_loss_by_hand() -> None:
    values = torch.tensor([0.9, 0.2, 0.0], requires_grad=True)
    old, returns = torch.zeros(3), torch.tensor([1.0, 1.0, -1.0])
    # Clipped to 0.5: the first is held back, and the worse of 0.01 and 0.25 counts.
    loss = clipped_value_loss(values, old, returns, clip=0.5, denominator=4)
    assert loss.item() == pytest.approx((0.25 + 0.64 + 1.0) / 2 / 4)
    loss.backward()
    assert values.grad is not None
    assert values.grad.tolist() == pytest.approx([0.0, -0.8 / 4, 1.0 / 4])


def test_over_a_whole_attempt_an_advantage_is_what_was_earned_from_its_step_on_less_the_value() -> (
    None
):
    """Plain backward sum over all tokens of three steps, against each step for itself."""
    lengths, rewards, values = [2, 3, 1], [0.5, 0.0, 1.0], [0.1, 0.7, -0.2, 0.4, 0.9, 0.3]
    after = [0.0, 0.5, 0.0, 0.0, 0.0, 1.0]
    expected, following = [0.0] * 6, 0.0
    for t in reversed(range(6)):
        ahead = values[t + 1] if t < 5 else 0.0
        following += after[t] + ahead - values[t]
        expected[t] = following

    found, start = [], 0
    for number, length in enumerate(lengths):
        rewards_L = torch.zeros(length)
        rewards_L[-1] = sum(rewards[number:])
        own = torch.tensor(values[start : start + length])
        found += generalised_advantages(rewards_L, own, gamma=1.0, lam=1.0).tolist()
        start += length
    assert found == pytest.approx(expected, abs=1e-6)
