"""Fine-tuning on a tiny model."""

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from ml_agent.core.errors import TrainingError, UsageError
from ml_agent.core.records import Message
from ml_agent.models import Sampling
from ml_agent.train.policy import Policy
from ml_agent.train.sft import SFTConfig, sft

PROMPT = (Message(role="user", text="Say it."),)
OTHER = (Message(role="user", text="Say the other."),)
PAIRS = [(PROMPT, "yes"), (OTHER, "no!"), (PROMPT, "yes"), (OTHER, "no!")]


def test_a_model_learns_to_answer_and_to_stop(tiny_model: Path) -> None:
    policy = Policy.load(str(tiny_model))
    seen: list[Mapping[str, float]] = []
    report = sft(policy, PAIRS, SFTConfig(lr=0.02, epochs=20), on_update=seen.append)
    answers = policy.sampler("p").sample([PROMPT, OTHER], Sampling(temperature=0), seed=0)
    assert [group[0].text for group in answers] == ["yes", "no!"]
    assert all(group[0].finished for group in answers)
    assert seen[-1]["loss"] < 0.3 < seen[0]["loss"]
    assert (report.examples, report.dropped, report.updates) == (4, (), 20)
    # Three letters and the end of the turn, four examples, twenty epochs.
    assert report.action_tokens == 4 * 4 * 20


@pytest.mark.parametrize(("updates", "epochs"), [(1, [1]), (4, [1, 1, 2, 2]), (5, [1, 1, 2, 2, 3])])
def test_so_many_updates_are_whole_epochs_and_a_part_of_one(
    tiny_model: Path, updates: int, epochs: list[int]
) -> None:
    counted: list[Mapping[str, float]] = []
    whole: list[Mapping[str, float]] = []
    few = SFTConfig(epochs=9, batch=2, updates=updates)
    sft(Policy.load(str(tiny_model)), PAIRS, few, on_update=counted.append)
    sft(Policy.load(str(tiny_model)), PAIRS, SFTConfig(epochs=3, batch=2), on_update=whole.append)
    # Two updates an epoch; the rate falls to zero over those that are made.
    assert [one["epoch"] for one in counted] == epochs
    assert counted[0]["loss"] == whole[0]["loss"]
    rates = [5e-4 * 0.5 * (1 + math.cos(math.pi * k / updates)) for k in range(updates)]
    assert [one["lr"] for one in counted] == pytest.approx(rates)


def test_the_first_loss_is_the_mean_over_answer_tokens_alone(tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    policy = Policy.load(str(tiny_model))
    network = AutoModelForCausalLM.from_pretrained(tiny_model)
    total, count = 0.0, 0
    for prompt, text in PAIRS:
        before, after = policy.chat.prompt_ids(prompt), policy.chat.completion_ids(text)
        with torch.no_grad():
            logits = network(torch.tensor([[*before, *after]])).logits[0]
        logprobs = logits.log_softmax(dim=-1)
        for place, token in enumerate(after):
            total -= float(logprobs[len(before) - 1 + place, token])
            count += 1
    seen: list[Mapping[str, float]] = []
    sft(policy, PAIRS, SFTConfig(epochs=1), on_update=seen.append)
    assert seen[0]["loss"] == pytest.approx(total / count, rel=1e-4)


def test_the_size_of_a_row_changes_nothing_but_memory(tiny_model: Path) -> None:
    losses = []
    for row_tokens in (1, 40, 4096):
        seen: list[Mapping[str, float]] = []
        policy = Policy.load(str(tiny_model))
        sft(policy, PAIRS, SFTConfig(epochs=2, row_tokens=row_tokens), on_update=seen.append)
        losses.append([one["loss"] for one in seen])
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert losses[2] == pytest.approx(losses[0], rel=1e-3)


def test_the_answers_of_one_prompt_are_not_parted_to_fill_an_update(tiny_model: Path) -> None:
    policy = Policy.load(str(tiny_model))
    pairs = [(PROMPT, "yes"), (PROMPT, "aye"), (OTHER, "no!"), (OTHER, "nay")]
    alone: list[Mapping[str, float]] = []
    shared: list[Mapping[str, float]] = []
    for batch, seen in ((3, alone), (4, shared)):
        sft(policy, pairs, SFTConfig(epochs=1, batch=batch), on_update=seen.append)
    assert [one["examples"] for one in alone] == [2, 2]
    assert [one["examples"] for one in shared] == [4]
    # Each prompt is computed once, for both of its answers.
    assert sum(one["tokens"] for one in alone) == shared[0]["tokens"]
    sft(policy, pairs, SFTConfig(epochs=1, batch=1), on_update=shared.append)
    assert [one["examples"] for one in shared[1:]] == [1, 1, 1, 1]


def test_the_learning_rate_falls_along_a_cosine_without_warm_up(tiny_model: Path) -> None:
    seen: list[Mapping[str, float]] = []
    config = SFTConfig(lr=1e-3, epochs=2, batch=2)
    sft(Policy.load(str(tiny_model)), PAIRS, config, on_update=seen.append)
    expected = [1e-3 * (1 + math.cos(math.pi * i / 4)) / 2 for i in range(4)]
    assert [one["lr"] for one in seen] == pytest.approx(expected)
    assert [one["epoch"] for one in seen] == [1, 1, 2, 2]
    assert [one["examples"] for one in seen] == [2, 2, 2, 2]


def test_overlong_examples_are_dropped_and_counted(tiny_model: Path) -> None:
    policy = Policy.load(str(tiny_model))
    pairs = [*PAIRS, (PROMPT, "x" * 500)]
    report = sft(policy, pairs, SFTConfig(epochs=1, max_tokens=100))
    assert (report.examples, report.dropped) == (4, (4,))


def test_nothing_to_imitate_is_an_error_that_says_why(tiny_model: Path) -> None:
    policy = Policy.load(str(tiny_model))
    with pytest.raises(TrainingError, match="no examples"):
        sft(policy, [], SFTConfig())
    with pytest.raises(TrainingError, match=r"all are longer than 5 tokens"):
        sft(policy, PAIRS, SFTConfig(max_tokens=5))


def test_numbers_that_are_not_finite_stop_the_training(tiny_model: Path) -> None:
    policy = Policy.load(str(tiny_model))
    with torch.no_grad():
        policy.trained[0].fill_(math.inf)
    with pytest.raises(TrainingError, match=r"Lower sft\.lr"):
        sft(policy, PAIRS, SFTConfig())


def test_impossible_figures_are_refused() -> None:
    with pytest.raises(UsageError, match="positive"):
        SFTConfig(lr=0)
    with pytest.raises(UsageError, match="at least 1"):
        SFTConfig(batch=0)
