"""Steps that can be recorded say what steps computed anew say."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ml_agent.models.attention import DecodeLayout, FixedDecodeLayout
from ml_agent.models.local import load_network
from ml_agent.models.prompts import PromptCache
from ml_agent.models.steps import Steps

PROMPTS = [[5, 6, 7, 8, 9], [5, 6], [11] * 140]
ROWS = [0, 0, 1, 2, 2, 2]


def _begin(folder: Path, *, room: int | None) -> Steps:
    network, _ = load_network(str(folder))
    read, prompt_R = PromptCache(network).read(PROMPTS), torch.tensor(ROWS)
    if room is None:
        return Steps(network, DecodeLayout(read, prompt_R))
    return Steps(network, FixedDecodeLayout(read, prompt_R, room))


def _fed(steps: Steps, count: int) -> Tensor:
    start_R = torch.tensor([len(PROMPTS[row]) for row in ROWS])
    dice = torch.Generator().manual_seed(0)
    hidden = [
        steps.feed(torch.randint(250, (len(ROWS),), generator=dice), start_R + step).clone()
        for step in range(count)
    ]
    return torch.stack(hidden)


@pytest.mark.parametrize("room", [70, 100])
def test_a_fixed_room_gives_what_a_growing_one_gives(tiny_model: Path, room: int) -> None:
    with torch.no_grad():
        growing = _fed(_begin(tiny_model, room=None), 70)
        fixed = _fed(_begin(tiny_model, room=room), 70)
    torch.testing.assert_close(fixed, growing, atol=1e-5, rtol=1e-5)


class _Asked(TorchDispatchMode):
    """Counts how often a tensor's number is asked for, the commonest thing no GPU can record."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_a_step_in_a_fixed_room_asks_for_no_number(tiny_model: Path) -> None:
    steps = _begin(tiny_model, room=4)
    token_R, start_R = torch.full((6,), 3), torch.tensor([len(PROMPTS[row]) for row in ROWS])
    with torch.no_grad(), _Asked() as asked:
        steps.feed(token_R, start_R)
        steps.feed(token_R, start_R + 1)
        assert asked.count == 0
        assert int(token_R[0]) == 3
        assert asked.count == 1
