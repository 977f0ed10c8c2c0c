"""The same code on a GPU: `pytest -m gpu`, where there is one. All other tests run without."""

import random
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from ml_agent.core.records import Completion, Message
from ml_agent.models import Sampling
from ml_agent.models.embedded import EMBEDDED, embedded_folder
from ml_agent.train.grpo import GRPOConfig, grpo_update
from ml_agent.train.packing import Tokens
from ml_agent.train.policy import Policy, Weights
from ml_agent.train.update import Group

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]

PROMPTS = [
    (Message(role="user", text="Name three ways to improve a model of house prices. " * 12),),
    (Message(role="user", text="What does a random forest do?"),),
]


def _groups(prompts: list[int], lengths: list[list[int]]) -> list[Tokens]:
    dice = random.Random(0)

    def draw(count: int) -> tuple[int, ...]:
        return tuple(dice.randrange(250) for _ in range(count))

    return [
        Tokens(prompt=draw(prompt), completions=tuple(map(draw, those)))
        for prompt, those in zip(prompts, lengths, strict=True)
    ]


def _alone(
    folder: Path, group: Tokens, *, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> torch.Tensor:
    """What transformers computes, sequence by sequence."""
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=dtype)
    network.to(device)
    values = []
    with torch.no_grad():
        for completion in group.completions:
            ids = torch.tensor([*group.prompt, *completion], device=device)
            logits = network(ids[None]).logits[0, len(group.prompt) - 1 : -1].float().cpu()
            values.append(-cross_entropy(logits, torch.tensor(completion), reduction="none"))
    return torch.cat(values)


def _sampled(policy: Policy, *, samples: int = 8) -> list[list[Completion]]:
    sampling = Sampling(max_tokens=90, samples=samples)
    return policy.sampler("p").sample(PROMPTS, sampling, seed=1)


def test_packed_groups_in_float32_give_the_values_and_gradients_of_single_sequences(
    tiny_model: Path,
) -> None:
    policy = Policy.load(str(tiny_model), weights="full")
    assert policy.trained[0].device.type == "cuda"
    groups = _groups([9, 4, 200], [[5, 1, 7], [6], [90, 3, 8]])
    expected = torch.cat([_alone(tiny_model, group) for group in groups]).tolist()
    packed = policy.token_logprobs(groups)
    assert packed.tolist() == pytest.approx(expected, abs=1e-3)
    packed.square().sum().backward()
    together = [weights.grad.clone() for weights in policy.trained if weights.grad is not None]
    policy.optimizer(lr=0.0).zero_grad()
    for group in groups:
        for completion in group.completions:
            one = Tokens(prompt=group.prompt, completions=(completion,))
            policy.token_logprobs([one]).square().sum().backward()
    for ours, weights in zip(together, policy.trained, strict=True):
        assert weights.grad is not None
        scale = float(weights.grad.abs().max())
        torch.testing.assert_close(ours, weights.grad, atol=1e-4 * scale, rtol=1e-3)


@pytest.mark.parametrize("weights", ["alora", "lora"])
def test_the_embedded_model_in_bfloat16_is_as_exact_as_transformers_is(weights: Weights) -> None:
    policy = Policy.load(EMBEDDED, weights=weights)
    for prompt in PROMPTS:
        ids = policy.chat.prompt_ids(prompt)
        group = Tokens(prompt=ids, completions=(ids[:60], ids[3:20]))
        exact = _alone(embedded_folder(), group)
        theirs = _alone(embedded_folder(), group, dtype=torch.bfloat16, device="cuda")
        with torch.no_grad():
            ours = policy.token_logprobs([group]).cpu()
        assert float((ours - exact).abs().mean()) < 1.5 * float((theirs - exact).abs().mean())


@pytest.mark.parametrize("weights", ["alora", "lora"])
@pytest.mark.parametrize("again", [False, True])
def test_gradients_in_bfloat16_point_where_those_in_float32_do(
    weights: Weights, again: bool
) -> None:
    """Against the same policy on the processor: bits are lost, the direction is not."""

    def gradients(policy: Policy) -> list[torch.Tensor]:
        draw = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for one in policy.trained:
                one.add_(0.02 * torch.randn(one.shape, generator=draw).to(one))
        ids = policy.chat.prompt_ids(PROMPTS[0])
        group = Tokens(prompt=ids, completions=(ids[:60], ids[3:20]))
        policy.token_logprobs([group]).sum().backward()
        return [one.grad.float().cpu() for one in policy.trained if one.grad is not None]

    ours = gradients(Policy.load(EMBEDDED, weights=weights, gradient_checkpointing=again))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        exact = gradients(Policy.load(EMBEDDED, weights=weights))
    assert len(ours) == len(exact) > 100
    missed = sum(float((a - b).square().sum()) for a, b in zip(ours, exact, strict=True))
    whole = sum(float(b.square().sum()) for b in exact)
    assert (missed / whole) ** 0.5 < 0.1


@pytest.mark.parametrize("weights", ["alora", "lora", "full"])
def test_what_is_sampled_is_as_likely_as_the_learner_says(weights: Weights) -> None:
    """Steps are recorded and repeated: every row, at every place, must be what it claims to be."""
    policy = Policy.load(EMBEDDED, weights=weights)
    for prompt, answers in zip(PROMPTS, _sampled(policy), strict=True):
        tokens = Tokens(
            prompt=policy.chat.prompt_ids(prompt),
            completions=tuple(one.token_ids for one in answers),
        )
        recorded = torch.tensor([value for one in answers for value in one.logprobs])
        with torch.no_grad():
            error = (policy.token_logprobs([tokens]).cpu() - recorded).abs()
        assert float(error.mean()) < 0.05
        assert float(error.max()) < 1.0


def test_rows_say_what_they_say_alone() -> None:
    policy = Policy.load(EMBEDDED)
    sampling = Sampling(max_tokens=40, samples=4, temperature=0.7)
    sampler = policy.sampler("p")
    together = sampler.sample(PROMPTS, sampling, seed=[3, 4])
    alone = [
        sampler.sample([prompt], sampling, seed=[seed])[0]
        for prompt, seed in zip(PROMPTS, [3, 4], strict=True)
    ]
    first = [[one.token_ids[:8] for one in group] for group in together]
    # Rounding may part two rows later on; nothing else may.
    agreeing = sum(
        ours == theirs.token_ids[:8]
        for group, other in zip(first, alone, strict=True)
        for ours, theirs in zip(group, other, strict=True)
    )
    assert agreeing >= 6


def test_an_update_is_bitwise_repeatable_and_near_ratio_one() -> None:
    def once() -> tuple[list[torch.Tensor], dict[str, float | None]]:
        policy = Policy.load(EMBEDDED)
        groups = [
            Group(
                prompt=prompt,
                completions=tuple(answers),
                rewards=tuple(float(place % 2) for place in range(len(answers))),
            )
            for prompt, answers in zip(PROMPTS, _sampled(policy), strict=True)
        ]
        figures = grpo_update(policy, groups, GRPOConfig())
        return [weights.detach().clone() for weights in policy.trained], figures

    (first, figures), (second, _) = once(), once()
    assert all(map(torch.equal, first, second))
    assert figures["ratio_mean"] == pytest.approx(1, abs=0.02)


def test_practice_raises_the_reward_of_a_preferred_letter(tiny_model: Path) -> None:
    policy = Policy.load(str(tiny_model))

    def reward(completion: Completion) -> float:
        even = [token % 2 == 0 for token in completion.token_ids]
        return sum(even) / len(even)

    means, prompt = [], PROMPTS[1]
    for update in range(12):
        sampling = Sampling(max_tokens=6, samples=16)
        (found,) = policy.sampler("p").sample([prompt], sampling, seed=update)
        rewards = tuple(reward(completion) for completion in found)
        means.append(sum(rewards) / len(rewards))
        group = Group(prompt=prompt, completions=tuple(found), rewards=rewards)
        grpo_update(policy, [group], GRPOConfig(lr=0.01))
    assert sum(means[-3:]) / 3 > sum(means[:3]) / 3 + 0.2
