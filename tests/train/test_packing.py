"""The packed row gives what each sequence gives alone, in values and in gradients."""

import random
from operator import attrgetter
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from ml_agent.models.embedded import EMBEDDED, embedded_folder
from ml_agent.models.local import load_network
from ml_agent.models.prompts import PromptCache
from ml_agent.train.packing import AnswerRow, Row, Tokens, rows_of
from ml_agent.train.policy import Policy, Weights


def _tokens(prompt: int, lengths: list[int], *, seed: int) -> Tokens:
    dice = random.Random(seed)

    def draw(count: int) -> tuple[int, ...]:
        return tuple(dice.randrange(250) for _ in range(count))

    return Tokens(prompt=draw(prompt), completions=tuple(draw(n) for n in lengths))


def _alone(folder: Path, groups: list[Tokens]) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Each sequence computed by transformers itself; gradients of the summed squares."""
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    network.eval()
    values = []
    for group in groups:
        for completion in group.completions:
            ids = torch.tensor([*group.prompt, *completion])
            logits = network(ids[None]).logits[0, len(group.prompt) - 1 : -1]
            values.append(-cross_entropy(logits, torch.tensor(completion), reduction="none"))
    joined = torch.cat(values)
    joined.square().sum().backward()
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return joined.tolist(), gradients


GROUPS = [
    _tokens(9, [5, 1, 7], seed=1),
    _tokens(4, [6], seed=2),
    _tokens(1, [1, 1], seed=3),
    _tokens(12, [3, 3, 3, 8], seed=4),
]


def test_packed_groups_give_the_values_and_gradients_of_single_sequences(tiny_model: Path) -> None:
    expected, gradients = _alone(tiny_model, GROUPS)
    policy = Policy.load(str(tiny_model), weights="full")
    found = policy.token_logprobs(GROUPS)
    assert found.tolist() == pytest.approx(expected, abs=1e-4)
    found.square().sum().backward()
    ours = dict(zip(policy.trained_names, policy.trained, strict=True))
    assert set(ours) == set(gradients)
    for name, gradient in gradients.items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(ours[name].grad, gradient, atol=1e-4 * scale, rtol=1e-3)


def test_answers_give_the_values_and_gradients_of_peft_s_own_activated_lora(
    tiny_model: Path, tmp_path: Path
) -> None:
    policy = Policy.load(str(tiny_model), weights="alora")
    ending = policy.chat.invitation
    groups = [
        Tokens(prompt=(*group.prompt, *ending), completions=group.completions) for group in GROUPS
    ]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in policy.trained:
            weights.add_(0.1 * torch.randn(weights.shape, generator=generator))
    policy.save(tmp_path / "checkpoint", step=0)

    expected, gradients = _alone_with_peft(tiny_model, tmp_path / "checkpoint", groups)
    found = policy.token_logprobs(groups)
    assert found.tolist() == pytest.approx(expected, abs=1e-4)
    found.square().sum().backward()
    ours = dict(zip(policy.trained_names, policy.trained, strict=True))
    assert {f"base_model.model.{name}" for name in ours} == set(gradients)
    for name, weights in ours.items():
        gradient = gradients[f"base_model.model.{name}"]
        scale = float(gradient.abs().max())
        torch.testing.assert_close(weights.grad, gradient, atol=1e-4 * scale, rtol=1e-3)


def _alone_with_peft(
    folder: Path, checkpoint: Path, groups: list[Tokens]
) -> tuple[list[float], dict[str, torch.Tensor]]:
    """The checkpoint as PEFT applies it to whole sequences, one at a time."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    adapted = PeftModel.from_pretrained(network, checkpoint, is_trainable=True)
    adapted.eval()
    values = []
    for group in groups:
        for completion in group.completions:
            ids = torch.tensor([*group.prompt, *completion])
            logits = adapted(input_ids=ids[None]).logits[0, len(group.prompt) - 1 : -1]
            values.append(-cross_entropy(logits, torch.tensor(completion), reduction="none"))
    joined = torch.cat(values)
    joined.square().sum().backward()
    gradients = {name: p.grad for name, p in adapted.named_parameters() if p.grad is not None}
    return joined.tolist(), gradients


@pytest.mark.parametrize("weights", ["alora", "lora", "full"])
def test_layers_that_are_computed_again_keep_less_and_change_no_gradient(weights: Weights) -> None:
    kept, gradients = {}, {}
    group = _tokens(40, [12, 5, 20], seed=5)
    for again in (False, True):
        policy = Policy.load(EMBEDDED, weights=weights, gradient_checkpointing=again)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for tensor in policy.trained:
                tensor.add_(0.01 * torch.randn(tensor.shape, generator=generator))
        kept[again], gradients[again] = _kept_and_gradients(policy, group)
    for ours, plain in zip(gradients[True], gradients[False], strict=True):
        assert torch.equal(ours, plain)
        assert plain.any()
    assert kept[True] < 0.2 * kept[False]


def _kept_and_gradients(policy: Policy, group: Tokens) -> tuple[int, list[torch.Tensor]]:
    """Bytes that the way forwards keeps for the way back, weights aside; and what comes of it."""
    sizes: dict[int, int] = {}
    theirs = {tensor.data_ptr() for tensor in policy._network.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in theirs:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = policy.token_logprobs([group]).square().sum()
    loss.backward()
    return sum(sizes.values()), [
        tensor.grad for tensor in policy.trained if tensor.grad is not None
    ]


@pytest.mark.parametrize("weights", ["alora", "lora"])
def test_the_embedded_model_agrees_too(weights: Weights) -> None:
    home = embedded_folder()
    group = _tokens(40, [12, 5, 20], seed=5)
    expected, _ = _alone(home, [group])
    with torch.no_grad():
        found = Policy.load(EMBEDDED, weights=weights).token_logprobs([group])
    assert found.tolist() == pytest.approx(expected, abs=1e-4)


def test_a_row_by_hand() -> None:
    group = Tokens(prompt=(10, 11), completions=((20, 21, 22), (30,), (40, 41)))
    row = Row([group], torch.device("cpu"))
    assert row.ids_T.tolist() == [10, 11, 20, 21, 40]
    assert row.positions_T.tolist() == [0, 1, 2, 3, 2]
    assert row.predicts_S.tolist() == [1, 2, 3, 1, 1, 4]
    assert row.targets_S.tolist() == [20, 21, 22, 30, 40, 41]
    assert (group.packed, group.scored) == (5, 6)


def test_an_answer_row_by_hand(tiny_model: Path) -> None:
    network, _ = load_network(str(tiny_model))
    group = Tokens(prompt=(10, 11, 12), completions=((20, 21, 22), (30,)))
    (read,) = PromptCache(network).read([group.prompt[:1]])
    row = AnswerRow([group], [read], 2)
    assert row.ids_T.tolist() == [11, 12, 20, 21, 11, 12]
    assert row.positions_T.tolist() == [1, 2, 3, 4, 1, 2]
    assert row.predicts_S.tolist() == [1, 2, 3, 5]
    assert row.targets_S.tolist() == [20, 21, 22, 30]


@pytest.mark.parametrize("weights", ["alora", "lora"])
def test_a_completion_does_not_see_its_neighbour(tiny_model: Path, weights: Weights) -> None:
    policy = Policy.load(str(tiny_model), weights=weights)
    prompt = tuple(range(1, 20))
    one = Tokens(prompt=prompt, completions=((4, 5, 6), (7, 8)))
    other = Tokens(prompt=prompt, completions=((4, 9, 9), (7, 8)))
    with torch.no_grad():
        first, second = policy.token_logprobs([one]), policy.token_logprobs([other])
    assert first[3:].tolist() == pytest.approx(second[3:].tolist(), abs=1e-6)
    assert first[1].item() != pytest.approx(second[1].item(), abs=1e-3)


def test_rows_fill_up_in_order_and_a_long_group_stands_alone() -> None:
    groups = [_tokens(n, [2], seed=n) for n in (3, 3, 30, 3)]
    assert [group.packed for group in groups] == [4, 4, 31, 4]
    assert [len(row) for row in rows_of(groups, 8, attrgetter("packed"))] == [2, 1, 1]
    assert [group for row in rows_of(groups, 8, attrgetter("packed")) for group in row] == groups
