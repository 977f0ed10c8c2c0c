"""Weights, their sampler, their reference and their checkpoints."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from ml_agent.core.errors import DiskFull, ModelError, TrainingError
from ml_agent.core.records import Message
from ml_agent.models import Sampling
from ml_agent.train.checkpoints import Checkpoint, writing
from ml_agent.train.packing import Tokens
from ml_agent.train.policy import Policy, Weights

PROMPT = [Message(role="user", text="Say something.")]
GROUP = Tokens(prompt=tuple(range(1, 20)), completions=((4, 5, 6), (7, 8)))
WEIGHTS: tuple[Weights, ...] = ("alora", "lora", "full")


def _moved(policy: Policy, *, seed: int = 0) -> Policy:
    """Weights some way off from where they were loaded."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in policy.trained:
            weights.add_(0.05 * torch.randn(weights.shape, generator=generator))
    return policy


def _logprobs(policy: Policy) -> list[float]:
    with torch.no_grad():
        return policy.token_logprobs([GROUP]).tolist()


@pytest.mark.parametrize(
    ("weights", "temperature"), [("alora", 1.0), ("lora", 1.0), ("full", 1.0), ("alora", 0.5)]
)
def test_the_samplers_logprobs_are_those_of_training(
    tiny_model: Path, weights: Weights, temperature: float
) -> None:
    policy = _moved(Policy.load(str(tiny_model), weights=weights))
    sampling = Sampling(max_tokens=30, samples=4, temperature=temperature)
    (answers,) = policy.sampler("p@1").sample([PROMPT], sampling, seed=0)
    ids = policy.chat.prompt_ids(PROMPT)
    group = Tokens(prompt=ids, completions=tuple(answer.token_ids for answer in answers))
    with torch.no_grad():
        found = policy.token_logprobs([group], temperature=temperature).tolist()
    assert found == pytest.approx([p for answer in answers for p in answer.logprobs], abs=1e-4)
    assert {answer.policy for answer in answers} == {"p@1"}


def test_a_new_sampler_has_the_new_weights_and_retires_the_old(tiny_model: Path) -> None:
    policy = Policy.load(str(tiny_model))
    before = policy.sampler("p@0")
    (first,) = before.sample([PROMPT], Sampling(temperature=0, max_tokens=20), seed=0)
    after = _moved(policy).sampler("p@1")
    (second,) = after.sample([PROMPT], Sampling(temperature=0, max_tokens=20), seed=0)
    assert first[0].token_ids != second[0].token_ids
    with pytest.raises(ModelError, match="take a new sampler"):
        before.sample([PROMPT], Sampling(), seed=0)


@pytest.mark.parametrize("weights", ["alora", "lora"])
def test_an_adapter_starts_as_the_model_underneath(tiny_model: Path, weights: Weights) -> None:
    adapter = Policy.load(str(tiny_model), weights=weights)
    whole = Policy.load(str(tiny_model), weights="full")
    assert _logprobs(adapter) == pytest.approx(_logprobs(whole), abs=1e-4)
    assert len(adapter.trained) == 2 * 7 * 2


def test_prompts_are_read_once_however_much_is_learned(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = Policy.load(str(tiny_model), weights="alora")
    computed: list[int] = []
    forward = policy._network.base_model.forward

    def counted(input_ids: torch.Tensor, **rest: Any) -> Any:
        computed.append(input_ids.shape[1])
        return forward(input_ids=input_ids, **rest)

    monkeypatch.setattr(policy._network.base_model, "forward", counted)
    ids = policy.chat.prompt_ids(PROMPT)
    ending = len(policy.chat.invitation)
    group = Tokens(prompt=ids, completions=((4, 5, 6), (7, 8)))
    policy.sampler("p@0").sample([PROMPT], Sampling(max_tokens=3), seed=0)
    for _ in range(2):
        _moved(policy).token_logprobs([group])
    policy.reference_logprobs([group])
    policy.sampler("p@1").sample([PROMPT], Sampling(max_tokens=3), seed=0)
    # The sampler writes with a copy: what is counted of it is reading.
    answers = 3 + 2 + 2 * (ending - 1)
    assert computed == [len(ids) - ending, answers, answers, answers]
    assert policy.computed(group) == answers


@pytest.mark.parametrize("weights", WEIGHTS)
def test_the_reference_stays_where_it_was_and_leaves_the_policy_alone(
    tiny_model: Path, weights: Weights
) -> None:
    policy = Policy.load(str(tiny_model), weights=weights)
    before = _logprobs(policy)
    _moved(policy)
    moved = _logprobs(policy)
    assert policy.reference_logprobs([GROUP]).tolist() == before
    assert _logprobs(policy) == moved != before


@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_checkpoint_brings_back_the_same_policy(
    tiny_model: Path, tmp_path: Path, weights: Weights
) -> None:
    policy = _moved(Policy.load(str(tiny_model), weights=weights))
    policy.save(tmp_path / "sft")
    start = _logprobs(policy)
    _moved(policy, seed=1).save(tmp_path / "step-1", step=1)
    loaded = Policy.load(str(tiny_model), weights=weights)
    loaded.start_from(tmp_path / "sft")
    assert _logprobs(loaded) == start
    assert loaded.go_on_from(tmp_path / "step-1") == (1, {})
    assert _logprobs(loaded) == _logprobs(policy)
    assert loaded.reference_logprobs([GROUP]).tolist() == start


def test_a_checkpoint_is_in_the_common_format_and_says_what_made_it(
    tiny_model: Path, tmp_path: Path
) -> None:
    Policy.load(str(tiny_model)).save(tmp_path / "step-3", step=3)
    assert (tmp_path / "step-3" / "adapter_model.safetensors").is_file()
    assert json.loads((tmp_path / "step-3" / "adapter_config.json").read_text())["r"] == 16
    record = json.loads((tmp_path / "step-3" / "checkpoint.json").read_text())
    assert (record["step"], record["weights"], record["model"]) == (3, "alora", str(tiny_model))
    assert set(record["versions"]) == {"ml-agent", "torch", "transformers", "peft"}
    assert [path.name for path in tmp_path.iterdir()] == ["step-3"]


def test_saving_again_replaces_the_checkpoint_and_leaves_nothing_beside_it(
    tiny_model: Path, tmp_path: Path
) -> None:
    policy = Policy.load(str(tiny_model))
    policy.save(tmp_path / "sft")
    _moved(policy).save(tmp_path / "sft")
    loaded = Policy.load(str(tiny_model))
    loaded.take(tmp_path / "sft")
    assert _logprobs(loaded) == pytest.approx(_logprobs(policy), abs=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == ["sft"]


def test_what_is_no_checkpoint_or_another_models_is_refused(
    tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    policy = Policy.load(str(tiny_model))
    with pytest.raises(TrainingError, match="is no checkpoint"):
        policy.take(tmp_path / "empty")
    policy.save(tmp_path / "a")
    with pytest.raises(TrainingError, match="Use the model and the kind"):
        Policy.load(str(tiny_model), weights="full").take(tmp_path / "a")
    with pytest.raises(TrainingError, match=r"optimizer\.safetensors"):
        policy.go_on_from(tmp_path / "a")
    (tmp_path / "a" / "checkpoint.json").write_text('{"schema_version": 99}')
    with pytest.raises(TrainingError, match="another version"):
        policy.take(tmp_path / "a")


def test_the_seed_decides_the_adapters_first_weights_and_disturbs_nobody(tiny_model: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first = Policy.load(str(tiny_model), seed=1)
    assert torch.equal(torch.rand(3), expected)
    second, third = Policy.load(str(tiny_model), seed=1), Policy.load(str(tiny_model), seed=2)
    assert torch.equal(first.trained[0], second.trained[0])
    assert not torch.equal(first.trained[0], third.trained[0])


def test_a_checkpoint_on_a_full_disk_is_our_error_whoever_writes_it(tmp_path: Path) -> None:
    record = Checkpoint(model="m", weights="full", step=0, versions={})
    told = SafetensorError("Error while serializing: I/O error: No space left on device")
    with (
        pytest.raises(DiskFull, match="Free some space and run"),
        writing(tmp_path / "sft", record) as partial,
    ):
        (partial / "model.safetensors").write_bytes(b"half")
        raise told
    assert list(tmp_path.iterdir()) == []
