"""Attention of completions whose prompt does not learn, against one matrix for each completion."""

import torch
from torch import Tensor

from ml_agent.train.answers import AnswerAttention, Padding

LENGTHS = [3, 1, 5]
HEADS, QUERIES, SIZE, PAST = 2, 6, 4, 7


def _inputs(dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype)

    tokens = sum(LENGTHS)
    learning = [drawn(tokens, n, SIZE).requires_grad_() for n in (QUERIES, HEADS, HEADS)]
    return learning, [drawn(HEADS, PAST, SIZE), drawn(HEADS, PAST, SIZE)]


def _plain(learning: list[Tensor], past: list[Tensor]) -> Tensor:
    """Token by token, head by head."""
    query, key, value = learning
    rows = []
    start = 0
    for length in LENGTHS:
        for place in range(start, start + length):
            heads = []
            for head in range(QUERIES):
                own = head // (QUERIES // HEADS)
                keys = torch.cat([past[0][own], key[start : place + 1, own]])
                values = torch.cat([past[1][own], value[start : place + 1, own]])
                heads.append(torch.softmax(keys @ query[place, head], dim=0) @ values)
            rows.append(torch.stack(heads))
        start += length
    return torch.stack(rows)


def test_values_and_gradients_are_those_of_plain_attention() -> None:
    learning, past = _inputs(torch.float64)
    direction = torch.randn(sum(LENGTHS), QUERIES, SIZE, dtype=torch.float64)
    expected = _plain(learning, past)
    (expected * direction).sum().backward()
    gradients = [tensor.grad for tensor in learning]
    for tensor in learning:
        tensor.grad = None
    found = AnswerAttention.apply(*learning, *past, Padding(LENGTHS, torch.device("cpu")))
    torch.testing.assert_close(found, expected)
    (found * direction).sum().backward()
    for tensor, gradient in zip(learning, gradients, strict=True):
        torch.testing.assert_close(tensor.grad, gradient)


def test_scores_as_large_as_they_come_stay_finite() -> None:
    learning, past = _inputs(torch.float32)
    large = [(tensor * 200).detach().requires_grad_() for tensor in learning]
    found = AnswerAttention.apply(*large, *past, Padding(LENGTHS, torch.device("cpu")))
    torch.testing.assert_close(found, _plain(large, past))
    found.sum().backward()
    assert all(tensor.grad is not None and tensor.grad.isfinite().all() for tensor in large)
