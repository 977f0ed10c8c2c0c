"""What was imitated is learned from again beside practice, and changes nothing else."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ml_agent.core.records import Message
from ml_agent.models import Sampling
from ml_agent.train.examples import Example
from ml_agent.train.grpo import GRPO, GRPOConfig
from ml_agent.train.policy import Policy
from ml_agent.train.ppo import PPO, PPOConfig
from ml_agent.train.rehearsal import Imitated, Rehearsal, Rehearsed
from ml_agent.train.update import Group

PROMPT = (Message(role="user", text="Say something."),)


def example(task: str, reply: str) -> Example:
    prompt = (Message(role="user", text=f"Improve {task}."),)
    return Example(task=task, prompt=prompt, reply=reply)


EXAMPLES = [example("a", "abc"), example("a", "cab"), example("a", "bca"), example("b", "ddd")]


def rehearsal(policy: Policy, *, count: int, weight: float = 1.0) -> Rehearsal:
    imitated = Imitated(examples=tuple(EXAMPLES))
    return Rehearsal(policy, imitated, count=count, weight=weight, seed=0)


def practised(policy: Policy, rewards: list[float]) -> Group:
    sampling = Sampling(max_tokens=6, samples=len(rewards))
    (answers,) = policy.sampler("p").sample([PROMPT], sampling, seed=0)
    return Group(prompt=PROMPT, completions=tuple(answers), rewards=tuple(rewards))


def loss(policy: Policy, lesson: Rehearsed) -> torch.Tensor:
    """Mean over all answer tokens, each example computed by itself."""
    each = [policy.token_logprobs([group]) for group in lesson.groups]
    return -torch.cat(each).mean()


def test_tasks_take_turns_also_when_all_examples_of_one_have_come(tiny_model: Path) -> None:
    policy = Policy.load(str(tiny_model))
    order = rehearsal(policy, count=2)
    said = [
        policy.chat.tokenizer.decode(list(group.completions[0]), skip_special_tokens=True)
        for update in (1, 2, 3, 4)
        for group in order.of_update(update).groups
    ]
    assert said[1::2] == ["ddd"] * 4
    assert Counter(said[:6:2]) == Counter(one.reply for one in EXAMPLES if one.task == "a")
    assert said[6] == said[0]


def test_the_gradient_is_that_of_the_mean_loss_times_the_weight(tiny_model: Path) -> None:
    policy = Policy.load(str(tiny_model), weights="full")
    lesson = rehearsal(policy, count=3, weight=0.25).of_update(1)
    told = lesson.add_gradient()
    found = [weights.grad.clone() for weights in policy.trained if weights.grad is not None]
    expected = torch.autograd.grad(0.25 * loss(policy, lesson), policy.trained)
    assert told == pytest.approx(float(loss(policy, lesson).detach()), rel=1e-5)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "learner",
    [
        lambda policy: GRPO(policy, GRPOConfig(lr=0.01)),
        lambda policy: PPO(policy, PPOConfig(lr=0.01)),
    ],
)
def test_an_update_learns_from_both(tiny_model: Path, learner: Callable[[Policy], Any]) -> None:
    alone, both = Policy.load(str(tiny_model)), Policy.load(str(tiny_model))
    lessons = rehearsal(both, count=4)
    for policy, lesson in ((alone, None), (both, lessons.of_update(1))):
        its = learner(policy)
        for _ in range(4):
            figures = its.update([practised(policy, [1.0, 0.0, 0.5])], lesson)
        assert (figures["rehearsed_loss"] is not None) == (lesson is not None)
    with torch.no_grad():
        assert loss(both, lessons.of_update(1)) < loss(alone, lessons.of_update(1)) - 0.01


def test_a_weight_of_nothing_leaves_practice_as_it_is(tiny_model: Path) -> None:
    alone, both = Policy.load(str(tiny_model)), Policy.load(str(tiny_model))
    GRPO(alone, GRPOConfig()).update([practised(alone, [1.0, 0.0])])
    lesson = rehearsal(both, count=2, weight=0.0).of_update(1)
    GRPO(both, GRPOConfig()).update([practised(both, [1.0, 0.0])], lesson)
    for one, other in zip(alone.trained, both.trained, strict=True):
        assert torch.equal(one, other)


def test_where_nothing_is_practised_nothing_is_rehearsed(tiny_model: Path) -> None:
    policy = Policy.load(str(tiny_model))
    before = [weights.detach().clone() for weights in policy.trained]
    lesson = rehearsal(policy, count=2).of_update(1)
    GRPO(policy, GRPOConfig()).update([practised(policy, [0.5, 0.5])], lesson)
    assert all(torch.equal(one, two) for one, two in zip(before, policy.trained, strict=True))
