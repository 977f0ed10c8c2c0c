"""The packed row gives what each sequence gives alone, in values and in gradients."""

import random
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from ml_agent.models.embedded import EMBEDDED, embedded_folder
from ml_agent.train.packing import Row, Tokens, rows_of
from ml_agent.train.policy import Policy


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
    policy = Policy.load(str(tiny_model), full=True)
    found = policy.token_logprobs(GROUPS)
    assert found.tolist() == pytest.approx(expected, abs=1e-4)
    found.square().sum().backward()
    ours = dict(zip(policy.trained_names, policy.trained, strict=True))
    assert set(ours) == set(gradients)
    for name, gradient in gradients.items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(ours[name].grad, gradient, atol=1e-4 * scale, rtol=1e-3)


def test_the_embedded_model_agrees_too() -> None:
    home = embedded_folder()
    group = _tokens(40, [12, 5, 20], seed=5)
    expected, _ = _alone(home, [group])
    with torch.no_grad():
        found = Policy.load(EMBEDDED).token_logprobs([group])
    assert found.tolist() == pytest.approx(expected, abs=1e-4)


def test_a_row_by_hand() -> None:
    group = Tokens(prompt=(10, 11), completions=((20, 21, 22), (30,), (40, 41)))
    row = Row([group], torch.device("cpu"))
    assert row.ids_T.tolist() == [10, 11, 20, 21, 40]
    assert row.positions_T.tolist() == [0, 1, 2, 3, 2]
    assert row.predicts_S.tolist() == [1, 2, 3, 1, 1, 4]
    assert row.targets_S.tolist() == [20, 21, 22, 30, 40, 41]
    assert (group.packed, group.scored) == (5, 6)


def test_a_completion_does_not_see_its_neighbour(tiny_model: Path) -> None:
    policy = Policy.load(str(tiny_model))
    one = Tokens(prompt=(1, 2, 3), completions=((4, 5, 6), (7, 8)))
    other = Tokens(prompt=(1, 2, 3), completions=((4, 9, 9), (7, 8)))
    with torch.no_grad():
        first, second = policy.token_logprobs([one]), policy.token_logprobs([other])
    assert first[3:].tolist() == pytest.approx(second[3:].tolist(), abs=1e-6)
    assert first[1].item() != pytest.approx(second[1].item(), abs=1e-3)


def test_rows_fill_up_in_order_and_a_long_group_stands_alone() -> None:
    groups = [_tokens(n, [2], seed=n) for n in (3, 3, 30, 3)]
    assert [group.packed for group in groups] == [4, 4, 31, 4]
    assert [len(row) for row in rows_of(groups, 8)] == [2, 1, 1]
    assert [group for row in rows_of(groups, 8) for group in row] == groups
