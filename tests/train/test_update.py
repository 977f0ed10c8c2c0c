"""Whole updates, step by step against plain loops over completions and tokens."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from ml_agent.core.records import Completion, Message
from ml_agent.models import Sampling
from ml_agent.train.grpo import GRPO, GRPOConfig
from ml_agent.train.packing import Tokens, parted
from ml_agent.train.policy import Policy, Weights
from ml_agent.train.ppo import PPO, PPOConfig
from ml_agent.train.update import Group, UpdateConfig

REWARDS = ((1.0, 0.0, 0.5), (0.2, 0.2, 0.2), (0.0, None, 1.0), (0.3, 0.9, 0.1))
FAR = {"lr": 0.02, "epochs": 2, "minibatches": 2, "max_grad_norm": 0.5}
"""Far enough that the second epoch meets the bounds."""


def prompt(number: int) -> tuple[Message, ...]:
    return (Message(role="user", text=f"Say {number}."),)


def groups_of(policy: Policy) -> list[Group]:
    sampler = policy.sampler("p")
    found = []
    for number, rewards in enumerate(REWARDS):
        sampling = Sampling(max_tokens=6, samples=len(rewards))
        (answers,) = sampler.sample([prompt(number)], sampling, seed=number)
        one = Group(prompt=prompt(number), completions=tuple(answers), rewards=rewards)
        found.append(one)
    return found


def tokens_of(policy: Policy, group: Group, completion: Completion) -> Tokens:
    ids = policy.chat.prompt_ids(group.prompt)
    return Tokens(prompt=ids, completions=(completion.token_ids,))


def reference_of(policy: Policy, groups: Sequence[Group]) -> dict[tuple[int, int], list[float]]:
    """Log-probabilities before the first step, by group and completion."""
    found = {}
    with torch.no_grad():
        for g, group in enumerate(groups):
            for i, one in enumerate(group.completions):
                found[g, i] = policy.token_logprobs([tokens_of(policy, group, one)]).tolist()
    return found


def objective(
    config: UpdateConfig, new: torch.Tensor, old: float, advantage: float, reference: float
) -> torch.Tensor:
    """Of one token, to be maximised."""
    ratio = torch.exp(new - old)
    if advantage > 0:
        gained = advantage * torch.clamp(ratio, max=1 + config.eps_high)
    else:
        gained = advantage * torch.clamp(ratio, min=1 - config.eps_low)
    away = reference - new
    return gained - config.kl * (torch.exp(away) - away - 1)


def halves(count: int) -> list[range]:
    return [range(count // 2), range(count // 2, count)]


def steps(
    policy: Policy,
    config: UpdateConfig,
    count: int,
    loss_of: Callable[[range], torch.Tensor],
    beside: Callable[[], None] = lambda: None,
) -> None:
    """Two epochs of two steps over so many groups."""
    optimizer = torch.optim.AdamW(policy.trained, lr=config.lr, weight_decay=0.0)
    for _ in range(2):
        for minibatch in halves(count):
            optimizer.zero_grad()
            loss_of(minibatch).backward()
            torch.nn.utils.clip_grad_norm_(policy.trained, config.max_grad_norm)
            optimizer.step()
            beside()


def moved(policy: Policy, start: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.cat(
        [(a.detach() - b).flatten() for a, b in zip(policy.trained, start, strict=True)]
    )


def missed(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """How far two movements lie apart, as a share of how far they go."""
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("weights", ["alora", "lora", "full"])
@pytest.mark.parametrize("row_tokens", [None, 1, 40])
def test_grpo_moves_the_weights_as_a_plain_loop_does(
    tiny_model: Path, weights: Weights, row_tokens: int | None
) -> None:
    config = GRPOConfig(**FAR, kl=0.5, eps_low=0.1, eps_high=0.3, row_tokens=row_tokens)
    plain, policy = (Policy.load(str(tiny_model), weights=weights) for _ in range(2))
    groups = groups_of(plain)
    start = [one.detach().clone() for one in plain.trained]
    references = reference_of(plain, groups)
    # The second group's rewards are all alike.
    learned = [0, 2, 3]

    def loss_of(minibatch: range) -> torch.Tensor:
        total, count = torch.zeros(()), 0
        for g in (learned[place] for place in minibatch):
            known = [reward for reward in groups[g].rewards if reward is not None]
            for i, reward in enumerate(groups[g].rewards):
                if reward is None:
                    continue
                one = groups[g].completions[i]
                new = plain.token_logprobs([tokens_of(plain, groups[g], one)])
                advantage = reward - sum(known) / len(known)
                for t, old in enumerate(one.logprobs):
                    reference = references[g, i][t]
                    total = total - objective(config, new[t], old, advantage, reference)
                    count += 1
        return total / count

    steps(plain, config, len(learned), loss_of)
    figures = GRPO(policy, config).update(groups)
    assert figures["clip_share"]
    assert missed(moved(policy, start), moved(plain, start)) < 0.01


@pytest.mark.parametrize("row_tokens", [None, 1])
def test_ppo_moves_the_weights_and_the_critic_as_a_plain_loop_does(
    tiny_model: Path, row_tokens: int | None
) -> None:
    config = PPOConfig(**FAR, kl=0.5, critic_lr=0.1, value_clip=0.05, row_tokens=row_tokens)
    plain, policy = (Policy.load(str(tiny_model), weights="full") for _ in range(2))
    groups = groups_of(plain)
    start = [one.detach().clone() for one in plain.trained]
    references = reference_of(plain, groups)
    head = torch.nn.Linear(plain.width, 1)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    critic = torch.optim.AdamW(head.parameters(), lr=config.critic_lr, weight_decay=0.0)

    # The critic expects nothing yet: an advantage is a return, of every token of its completion.
    earned = [
        reward
        for group in groups
        for one, reward in zip(group.completions, group.rewards, strict=True)
        if reward is not None
        for _ in one.token_ids
    ]
    mean = sum(earned) / len(earned)
    spread = math.sqrt(sum((one - mean) ** 2 for one in earned) / len(earned))

    def loss_of(minibatch: range) -> torch.Tensor:
        total, count = torch.zeros(()), 0
        for g in minibatch:
            for i, reward in enumerate(groups[g].rewards):
                if reward is None:
                    continue
                one = groups[g].completions[i]
                new, hidden = plain.token_outputs([tokens_of(plain, groups[g], one)])
                values = head(hidden.detach()).squeeze(-1)
                for t, old in enumerate(one.logprobs):
                    advantage, reference = (reward - mean) / spread, references[g, i][t]
                    total = total - objective(config, new[t], old, advantage, reference)
                    near = torch.clamp(values[t], -config.value_clip, config.value_clip)
                    total = (
                        total + torch.maximum((values[t] - reward) ** 2, (near - reward) ** 2) / 2
                    )
                    count += 1
        return total / count

    def critic_step() -> None:
        critic.step()
        critic.zero_grad()

    steps(plain, config, len(groups), loss_of, critic_step)
    learner = PPO(policy, config)
    figures = learner.update(groups)
    assert figures["clip_share"]
    assert missed(moved(policy, start), moved(plain, start)) < 0.01
    state = learner.state()
    assert missed(state["weight"].flatten(), head.weight.detach().flatten()) < 0.01
    assert float(state["bias"]) == pytest.approx(head.bias.item(), rel=1e-3)


def test_a_group_is_parted_until_each_part_fits_and_no_completion_is_lost() -> None:
    group = Tokens(prompt=(1, 2, 3), completions=tuple((n,) * n for n in range(1, 8)))
    parts = parted(group, 12, lambda one: one.packed)
    assert [one for part in parts for one in part.completions] == list(group.completions)
    assert all(part.prompt == group.prompt for part in parts)
    assert max(part.packed for part in parts) <= 12
    assert parted(group, 24, lambda one: one.packed) == [group]
    assert [len(part.completions) for part in parted(group, 1, lambda one: one.packed)] == [1] * 7
