"""Attention that knows how a row of tokens is laid out, for any Hugging Face decoder.

A network computes token by token except in attention. So one row may hold a prompt and many
completions of it, or the newest token of many sequences, if attention alone knows who may look at
whom. That knowledge is a `Layout`, passed through the network's forward call:

    network.model(input_ids=..., position_ids=..., layout=layout)

Covered: decoders that ask `AttentionInterface` for their attention and use RoPE or learned
positions (Llama, Qwen, Mistral and their kin). Not covered and refused: sliding windows, soft caps.

Shapes: B prompts, R rows (sequences), Q query heads, H key-value heads, D head size, T tokens of a
row, P tokens of a prompt, L tokens of a completion so far.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from ml_agent.core.errors import ModelError

IMPLEMENTATION = "ml_agent_layout"


class Layout(Protocol):
    """Who may look at whom."""

    def attend(
        self, layer: int, query_RQTD: Tensor, key_RHTD: Tensor, value_RHTD: Tensor, scale: float
    ) -> Tensor:
        """Attention's output [R, T, Q, D] for the new tokens of one layer."""
        ...


def use_layouts(network: Any) -> None:
    """Make a network take its attention from the `layout` given to each forward call.

    Raises:
        ModelError: The network attends in a way that layouts do not express.
    """
    from transformers import AttentionInterface

    kinds = getattr(network.config, "layer_types", None) or ["full_attention"]
    capped = getattr(network.config, "attn_logit_softcapping", None)
    if capped or set(kinds) != {"full_attention"}:
        raise ModelError(
            f"{type(network).__name__} uses sliding-window or soft-capped attention, which this "
            "trainer does not compute. Choose a model without it (Llama, Qwen2.5, SmolLM2)."
        )
    AttentionInterface.register(IMPLEMENTATION, _attention)
    network.set_attn_implementation(IMPLEMENTATION)


def repeat_heads(tensor_RHTD: Tensor, query_heads: int) -> Tensor:
    """Repeat key-value heads so that there is one for every query head."""
    repeats = query_heads // tensor_RHTD.shape[1]
    return tensor_RHTD if repeats == 1 else tensor_RHTD.repeat_interleave(repeats, dim=1)


def causal_after(past: int, new: int, device: torch.device) -> Tensor:
    """[new, past + new] mask: all of the past, and of the new tokens those up to oneself."""
    return torch.ones(new, past + new, dtype=torch.bool, device=device).tril(past)


class PrefillLayout:
    """One sequence, causal, continuing `past` if there is one; keeps keys and values.

    Attributes:
        kept: Per layer, keys and values [1, H, T, D] of the past and the new tokens.
    """

    def __init__(self, past: "PrefillLayout | None" = None) -> None:
        self.past = past.kept if past else []
        self.kept: list[tuple[Tensor, Tensor]] = []

    @property
    def nbytes(self) -> int:
        """Memory of what is kept."""
        return sum(key.nbytes + value.nbytes for key, value in self.kept)

    def since(self, start: int) -> "PrefillLayout":
        """A copy of what was kept of the tokens from `start` on."""
        part = PrefillLayout()
        part.kept = [
            (key[:, :, start:].clone(), value[:, :, start:].clone()) for key, value in self.kept
        ]
        return part

    @staticmethod
    def joined(parts: "Sequence[PrefillLayout]") -> "PrefillLayout":
        """What was kept of parts that follow each other."""
        whole = PrefillLayout()
        for layer in zip(*(part.kept for part in parts), strict=True):
            keys, values = zip(*layer, strict=True)
            whole.kept.append((torch.cat(keys, dim=2), torch.cat(values, dim=2)))
        return whole

    def attend(
        self, layer: int, query_RQTD: Tensor, key_RHTD: Tensor, value_RHTD: Tensor, scale: float
    ) -> Tensor:
        """See `Layout`."""
        new, mask = query_RQTD.shape[2], None
        if self.past:
            old_key, old_value = self.past[layer]
            key_RHTD = torch.cat([old_key, key_RHTD], dim=2)
            value_RHTD = torch.cat([old_value, value_RHTD], dim=2)
            mask = causal_after(old_key.shape[2], new, query_RQTD.device)
        self.kept.append((key_RHTD, value_RHTD))
        heads = query_RQTD.shape[1]
        out_RQTD = scaled_dot_product_attention(
            query_RQTD,
            repeat_heads(key_RHTD, heads),
            repeat_heads(value_RHTD, heads),
            attn_mask=mask,
            is_causal=mask is None,
            scale=scale,
        )
        return out_RQTD.transpose(1, 2)


class DecodeLayout:
    """The newest token of each of R sequences, which share the prompts they continue.

    The keys of a prompt are read once for all its sequences, and the past is copied only every 64
    tokens: at 32 rows that is most of the memory traffic of an ordinary cache. Prompt and
    completion are attended apart and merged by their normalisers (as in flash decoding).
    """

    _GROWTH = 64
    """Tokens by which the room for completions grows."""

    def __init__(self, prompts: list[PrefillLayout], prompt_of_row: Tensor) -> None:
        """Start with nothing but prompts.

        Args:
            prompts: What was kept of each prompt.
            prompt_of_row: [R] which prompt each sequence continues.
        """
        lengths = [prompt.kept[0][0].shape[2] for prompt in prompts]
        device = prompt_of_row.device
        self.length = 0
        ends = torch.tensor(lengths, device=device)[:, None, None, None]
        self._beyond_B11P = torch.arange(max(lengths), device=device) >= ends
        self._prompt_kv = [
            (self._stack(prompts, layer, 0), self._stack(prompts, layer, 1))
            for layer in range(len(prompts[0].kept))
        ]
        self._own_kv: list[tuple[Tensor, Tensor]] = []
        self._prompt_of_row = prompt_of_row
        self._place_rows()

    @staticmethod
    def _stack(prompts: list[PrefillLayout], layer: int, part: int) -> Tensor:
        tensors = [prompt.kept[layer][part][0].transpose(0, 1) for prompt in prompts]
        stacked_BPHD = torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True)
        return stacked_BPHD.transpose(1, 2).contiguous()

    def _place_rows(self) -> None:
        """Give each row a slot (prompt, place), so that a prompt's rows are computed together."""
        counts: dict[int, int] = {}
        places = []
        for prompt in self._prompt_of_row.tolist():
            places.append(counts.get(prompt, 0))
            counts[prompt] = places[-1] + 1
        self._places = max(counts.values(), default=0)
        place_R = torch.tensor(places, device=self._prompt_of_row.device, dtype=torch.long)
        self._slot_R = self._prompt_of_row * self._places + place_R

    def keep(self, rows: Tensor) -> None:
        """Drop all sequences but these.

        Args:
            rows: Indices of the rows that go on, ascending.
        """
        self._prompt_of_row = self._prompt_of_row[rows]
        self._own_kv = [(key[rows], value[rows]) for key, value in self._own_kv]
        self._place_rows()

    def attend(
        self, layer: int, query_RQTD: Tensor, key_RHTD: Tensor, value_RHTD: Tensor, scale: float
    ) -> Tensor:
        """See `Layout`; T is 1. Call `advance` after the last layer."""
        rows, query_heads, _, size = query_RQTD.shape
        heads = key_RHTD.shape[1]
        query_RHqD = (query_RQTD * scale).view(rows, heads, query_heads // heads, size)
        own_key, own_value = self._append(layer, key_RHTD, value_RHTD)
        own_scores = self._without_what_is_to_come(query_RHqD @ own_key.transpose(2, 3))
        own_out, own_sum, own_max = _partial(own_scores, own_value)
        shared_out, shared_sum, shared_max = self._attend_prompts(layer, query_RHqD)
        top = torch.maximum(own_max, shared_max)
        own_weight, shared_weight = (own_max - top).exp(), (shared_max - top).exp()
        out_RHqD = (own_out * own_weight + shared_out * shared_weight) / (
            own_sum * own_weight + shared_sum * shared_weight
        )
        return out_RHqD.to(query_RQTD.dtype).reshape(rows, 1, query_heads, size)

    def advance(self) -> None:
        """Count the token that every layer has now seen."""
        self.length += 1

    def _append(self, layer: int, key_RHTD: Tensor, value_RHTD: Tensor) -> tuple[Tensor, Tensor]:
        rows, heads, _, size = key_RHTD.shape
        if layer == len(self._own_kv):
            shape = (rows, heads, self._GROWTH, size)
            self._own_kv.append((key_RHTD.new_zeros(shape), key_RHTD.new_zeros(shape)))
        key, value = self._own_kv[layer]
        if self.length == key.shape[2]:
            room = key.new_zeros(rows, heads, self._GROWTH, size)
            key, value = torch.cat([key, room], dim=2), torch.cat([value, room], dim=2)
            self._own_kv[layer] = key, value
        key[:, :, self.length] = key_RHTD[:, :, 0]
        value[:, :, self.length] = value_RHTD[:, :, 0]
        return key[:, :, : self.length + 1], value[:, :, : self.length + 1]

    def _without_what_is_to_come(self, scores_RHqL: Tensor) -> Tensor:
        return scores_RHqL  # No room is among them.

    def _attend_prompts(self, layer: int, query_RHqD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        key_BHPD, value_BHPD = self._prompt_kv[layer]
        prompts, heads, _, size = key_BHPD.shape
        group = query_RHqD.shape[2]
        slots = query_RHqD.new_zeros(prompts * self._places, heads, group, size)
        slots[self._slot_R] = query_RHqD
        query_BHnD = (
            slots.view(prompts, self._places, heads, group, size)
            .transpose(1, 2)
            .reshape(prompts, heads, self._places * group, size)
        )
        scores_BHnP = query_BHnD @ key_BHPD.transpose(2, 3)
        scores_BHnP.masked_fill_(self._beyond_B11P, float("-inf"))
        return tuple(  # type: ignore[return-value]
            part.view(prompts, heads, self._places, group, -1)
            .transpose(1, 2)
            .reshape(prompts * self._places, heads, group, -1)[self._slot_R]
            for part in _partial(scores_BHnP, value_BHPD)
        )


class FixedDecodeLayout(DecodeLayout):
    """The same in room for a known number of tokens: every step is the same computation.

    So a GPU may record one step and repeat it (`models.steps`). Costs the attention to room that
    is still empty.
    """

    def __init__(self, prompts: list[PrefillLayout], prompt_of_row: Tensor, room: int) -> None:
        """Start with nothing but prompts.

        Args:
            prompts: What was kept of each prompt.
            prompt_of_row: [R] which prompt each sequence continues.
            room: Tokens that will be appended to each sequence, at most.
        """
        super().__init__(prompts, prompt_of_row)
        self._places_L = torch.arange(room, device=prompt_of_row.device)
        self._length_1 = torch.zeros(1, dtype=torch.long, device=prompt_of_row.device)

    def advance(self) -> None:
        """Count the token that every layer has now seen."""
        self._length_1 += 1

    def _append(self, layer: int, key_RHTD: Tensor, value_RHTD: Tensor) -> tuple[Tensor, Tensor]:
        rows, heads, _, size = key_RHTD.shape
        if layer == len(self._own_kv):
            shape = (rows, heads, len(self._places_L), size)
            self._own_kv.append((key_RHTD.new_zeros(shape), key_RHTD.new_zeros(shape)))
        key, value = self._own_kv[layer]
        key.index_copy_(2, self._length_1, key_RHTD)
        value.index_copy_(2, self._length_1, value_RHTD)
        return key, value

    def _without_what_is_to_come(self, scores_RHqL: Tensor) -> Tensor:
        return scores_RHqL.masked_fill_(self._places_L > self._length_1, float("-inf"))


def _partial(scores: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Unnormalised softmax(scores) @ value, its normaliser and the maximum it was shifted by.

    In float32 at least; the products themselves are rounded as their factors are.
    """
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    top = scores.amax(dim=-1, keepdim=True)
    weights = (scores - top).exp_()
    return (weights.to(value.dtype) @ value).to(top), weights.sum(dim=-1, keepdim=True), top


def _attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    layout: Layout,
    **_: Any,
) -> tuple[Tensor, None]:
    return layout.attend(module.layer_idx, query, key, value, scaling).contiguous(), None
