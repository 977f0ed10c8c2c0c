"""Updates from samples of a policy that has learned since."""

import math
from pathlib import Path

import pytest
import torch

from ml_agent.core.records import Message
from ml_agent.models import Sampling
from ml_agent.train.grpo import GRPO, GRPOConfig, grpo_update
from ml_agent.train.packing import Tokens
from ml_agent.train.policy import Policy
from ml_agent.train.ppo import PPO, PPOConfig
from ml_agent.train.update import Group

PROMPT = (Message(role="user", text="Say something."),)


@pytest.mark.parametrize("algorithm", ["grpo", "ppo"])
def test_a_stale_sample_is_corrected_by_the_ratio_to_what_sampled_it_and_clipped(
    algorithm: str, tiny_model: Path
) -> None:
    """Token by token: -A rho grad log pi / n, and nothing where rho is beyond the bound."""
    policy = Policy.load(str(tiny_model), weights="full")
    sampling, sampler = Sampling(max_tokens=6, samples=4), policy.sampler("p@step-0")
    stale, moving = (tuple(sampler.sample([PROMPT], sampling, seed=n)[0]) for n in (0, 1))
    first = Group(prompt=PROMPT, completions=moving, rewards=(1.0, 0.0, 1.0, 0.0))
    grpo_update(policy, [first], GRPOConfig(lr=3e-3, kl=0.0))

    rewards = (1.0, 0.0, 0.25, -0.5)
    baseline = sum(rewards) / 4 if algorithm == "grpo" else 0.0
    loss, ratios, clipped = torch.zeros(()), list[float](), 0
    count = sum(len(one.token_ids) for one in stale)
    for one, earned in zip(stale, rewards, strict=True):
        row = Tokens(prompt=policy.chat.prompt_ids(PROMPT), completions=(one.token_ids,))
        for now, old in zip(policy.token_logprobs([row]), one.logprobs, strict=True):
            ratio, worth = math.exp(float(now.detach()) - old), earned - baseline
            ratios.append(ratio)
            if (worth > 0 and ratio > 1.2) or (worth < 0 and ratio < 0.8):
                clipped += 1
            else:
                loss = loss - worth * ratio * now / count
    loss.backward()
    expected = math.sqrt(sum(float(w.grad.square().sum()) for w in policy.trained))
    learner = (
        GRPO(policy, GRPOConfig(lr=1e-6, kl=0.0))
        if algorithm == "grpo"
        else PPO(policy, PPOConfig(lr=1e-6, kl=0.0, whiten=False))
    )
    figures = learner.update([Group(prompt=PROMPT, completions=stale, rewards=rewards)])
    assert 0 < clipped < count
    assert figures["clip_share"] == pytest.approx(clipped / count)
    assert figures["ratio_mean"] == pytest.approx(sum(ratios) / count, rel=1e-4)
    assert figures["ratio_max"] == pytest.approx(max(ratios), rel=1e-4)
    assert figures["grad_norm"] == pytest.approx(expected, rel=1e-3)
