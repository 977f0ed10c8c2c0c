"""What a network has read: keys and values of prompts, kept for those read last.

A prompt that begins like one that is kept is computed only from where they part: all prompts begin
with the system message, those of a task with its statement, and the next step's with most of the
script. What is kept is right as long as the network's weights stay as they are.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from ml_agent.models.attention import PrefillLayout

_WORTH_SHARING = 16
"""Tokens that two prompts must have in common before computing the rest alone saves time."""


class PromptCache:
    """Reads prompts, each part of them once."""

    def __init__(
        self,
        network: Any,
        *,
        keep_bytes: int = 1 << 30,
        reading: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        """Start with nothing read.

        Args:
            network: A causal language model made ready by `use_layouts`.
            keep_bytes: Of keys and values kept between calls, at most; 700 tokens of the embedded
                model are 32 MB.
            reading: Opened around every computation, e.g. to switch an adapter off.
        """
        self._network = network
        self._keep_bytes = keep_bytes
        self._reading = reading
        self._kept: OrderedDict[tuple[int, ...], PrefillLayout] = OrderedDict()

    @torch.no_grad()
    def read(self, prompts: Sequence[Sequence[int]]) -> list[PrefillLayout]:
        """Keys and values of every prompt, in order.

        Args:
            prompts: Token ids, none of them empty.
        """
        with self._reading():
            found = [self._one(tuple(prompt)) for prompt in prompts]
        self._drop_oldest()
        return found

    def _one(self, prompt: tuple[int, ...]) -> PrefillLayout:
        if prompt not in self._kept:
            layout, start = self._begun(prompt)
            if prompt[start:]:
                layout = self._continued(layout, prompt[start:], start)
            self._kept[prompt] = layout
        self._kept.move_to_end(prompt)
        return self._kept[prompt]

    def _begun(self, prompt: tuple[int, ...]) -> tuple[PrefillLayout, int]:
        """As much of a prompt as another one that is kept begins with, and its length."""
        layout, longest = PrefillLayout(), 0
        for kept, found in self._kept.items():
            common = common_prefix(kept, prompt)
            if common >= max(longest + 1, _WORTH_SHARING):
                layout, longest = found, common
        return layout.first(longest), longest

    def _continued(self, past: PrefillLayout, ids: Sequence[int], start: int) -> PrefillLayout:
        layout = PrefillLayout(past)
        ids_T = torch.tensor(ids, device=self._network.device)
        positions_T = torch.arange(start, start + len(ids), device=self._network.device)
        self._network.base_model(
            input_ids=ids_T[None], position_ids=positions_T[None], use_cache=False, layout=layout
        )
        return layout

    def _drop_oldest(self) -> None:
        total = sum(layout.nbytes for layout in self._kept.values())
        while self._kept and total > self._keep_bytes:
            total -= self._kept.popitem(last=False)[1].nbytes


def common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens both begin with."""
    shorter = min(len(first), len(second))
    if first[:shorter] == second[:shorter]:
        return shorter
    return next(i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
