"""A linear layer for few rows is a linear layer."""

import pytest
import torch
from torch import nn

from ml_agent.models.products import FEW, expect_few_rows


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(1, 7), (3, 1, 7), (FEW, 7), (FEW + 1, 1, 7)])
def test_values_and_gradients_are_those_of_a_plain_layer(
    shape: tuple[int, ...], bias: bool
) -> None:
    torch.manual_seed(0)
    plain = nn.Linear(7, 5, bias=bias, dtype=torch.float64)
    fast = nn.Sequential(nn.Linear(7, 5, bias=bias, dtype=torch.float64))
    fast[0].load_state_dict(plain.state_dict())
    expect_few_rows(fast)
    results = []
    for layer in (plain, fast):
        inputs = torch.linspace(-1, 1, torch.Size(shape).numel(), dtype=torch.float64)
        inputs = inputs.view(shape).requires_grad_()
        out = layer(inputs)
        (out**2).sum().backward()
        results.append([out.detach(), inputs.grad, *(one.grad for one in layer.parameters())])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)
