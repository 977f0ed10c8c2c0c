"""What a network has read: keys and values of prompts, kept for those read last.

Prompts are read in blocks, and what prompts have in common, whole blocks from their beginning on,
is read once: all begin with the system message, those of a task with its statement, and the next
step's with most of the script. (On a GPU blocks are longer than most prompts: these share
nothing.) Blocks begin at fixed places, so that what is read of a prompt does not depend, in
the last bit, on what was read before. What is kept is right as long as the weights stay as
they are.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from ml_agent.models.attention import PrefillLayout

BLOCK = 128
"""Tokens read together: fewer are shared more often, and each block reads all weights once more."""

BLOCK_GPU = 1024
"""The same on a GPU, which reads so many as fast as a few."""


class PromptCache:
    """Reads prompts, each part of them once."""

    def __init__(
        self,
        network: Any,
        *,
        keep_bytes: int = 2 << 30,
        reading: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        """Start with nothing read.

        Args:
            network: A causal language model made ready by `use_layouts`.
            keep_bytes: Of keys and values kept between calls, at most; 700 tokens of the embedded
                model are 32 MB in float32.
            reading: Opened around every computation, e.g. to switch an adapter off.
        """
        self._network = network
        self._block = BLOCK_GPU if network.device.type == "cuda" else BLOCK
        self._keep_bytes = keep_bytes
        self._reading = reading
        self._blocks: OrderedDict[tuple[int, ...], PrefillLayout] = OrderedDict()
        """By all that stands before a block's end."""

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
        block = self._block
        ends = [*range(block, len(prompt), block), len(prompt)]
        known = 0
        while known < len(ends) and prompt[: ends[known]] in self._blocks:
            known += 1
        layout = PrefillLayout.joined([self._blocks[prompt[:end]] for end in ends[:known]])
        for end in ends[known:]:
            start = (end - 1) // block * block
            layout = self._continued(layout, prompt[start:end], start)
            self._blocks[prompt[:end]] = layout.since(start)
        # A block is of no use without those before it: they go last.
        for end in reversed(ends):
            self._blocks.move_to_end(prompt[:end])
        return layout

    def _continued(self, past: PrefillLayout, ids: Sequence[int], start: int) -> PrefillLayout:
        layout = PrefillLayout(past)
        ids_T = torch.tensor(ids, device=self._network.device)
        positions_T = torch.arange(start, start + len(ids), device=self._network.device)
        self._network.base_model(
            input_ids=ids_T[None], position_ids=positions_T[None], use_cache=False, layout=layout
        )
        layout.past = []  # It stands in what was kept.
        return layout

    def _drop_oldest(self) -> None:
        total = sum(block.nbytes for block in self._blocks.values())
        while self._blocks and total > self._keep_bytes:
            total -= self._blocks.popitem(last=False)[1].nbytes
