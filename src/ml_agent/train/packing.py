"""Packed rows: the completions of a prompt, and once for all of them the prompt itself.

`Row` is [prompt, c1, c2, ..., cG]: the prompt is computed with them, forwards and backwards. In an
`AnswerRow` the prompt has been read before, by weights that do not learn: [c1, c2, ..., cG].

Each completion sees the prompt and itself. Several groups may stand in one row. Nothing is padded
outside attention, and no mask of the whole row exists: attention is computed run by run.

Shapes: T tokens of a row, S scored tokens (those of all completions), P tokens of a prompt,
G completions, L tokens of the longest completion, Q heads, H key-value heads, q query heads for
each of them, D head size.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from ml_agent.models.attention import PrefillLayout, causal_after, repeat_heads
from ml_agent.train.answers import AnswerAttention, Padding

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """A prompt and its completions in tokens; neither may be empty."""

    prompt: tuple[int, ...]
    completions: tuple[tuple[int, ...], ...]

    @property
    def scored(self) -> int:
        """How many tokens the completions have."""
        return sum(len(completion) for completion in self.completions)

    @property
    def packed(self) -> int:
        """How many tokens a `Row` computes: each completion's last one predicts nothing."""
        return len(self.prompt) + self.scored - len(self.completions)


class _Laid:
    """What a network is given of a row, and what is asked of it.

    Attributes:
        ids_T: Token ids.
        positions_T: Where each token stands in its own sequence.
        predicts_S: For each scored token, the place in the row whose output predicts it.
        targets_S: The scored tokens, by group, completion and place.
    """

    def __init__(
        self,
        groups: Sequence[Tokens],
        ids: list[int],
        positions: list[int],
        predicts: list[int],
        device: torch.device,
    ) -> None:
        self.ids_T = torch.tensor(ids, device=device)
        self.positions_T = torch.tensor(positions, device=device)
        self.predicts_S = torch.tensor(predicts, device=device)
        self.targets_S = torch.tensor(
            [token for group in groups for one in group.completions for token in one],
            device=device,
        )


class Row(_Laid):
    """Groups laid out one after another; a `Layout` for `models.attention`."""

    def __init__(self, groups: Sequence[Tokens], device: torch.device) -> None:
        """Lay out the groups."""
        ids: list[int] = []
        positions: list[int] = []
        predicts: list[int] = []
        self._runs: list[tuple[int, int]] = []
        self._branches: list[_Branches] = []
        for group in groups:
            start, length = len(ids), len(group.prompt)
            ids += group.prompt
            positions += range(length)
            for completion in group.completions:
                predicts += [start + length - 1, *range(len(ids), len(ids) + len(completion) - 1)]
                ids += completion[:-1]
                positions += range(length, length + len(completion) - 1)
            self._lay(start, group, device)
        super().__init__(groups, ids, positions, predicts, device)

    def attend(
        self, layer: int, query_RQTD: Tensor, key_RHTD: Tensor, value_RHTD: Tensor, scale: float
    ) -> Tensor:
        """See `Layout`; R is 1."""
        # Computed again going backwards: what it would keep (keys and values repeated for every
        # head and completion) is a third of an update's memory, and it costs 6 % of its time.
        out: Tensor = checkpoint(
            self._attend, query_RQTD, key_RHTD, value_RHTD, scale, use_reentrant=False
        )
        return out

    def _attend(
        self, query_RQTD: Tensor, key_RHTD: Tensor, value_RHTD: Tensor, scale: float
    ) -> Tensor:
        heads = query_RQTD.shape[1]
        query_QTD = query_RQTD[0]
        key_QTD = repeat_heads(key_RHTD, heads)[0]
        value_QTD = repeat_heads(value_RHTD, heads)[0]
        pieces: list[tuple[int, Tensor]] = []
        for start, end in self._runs:
            out_QTD = scaled_dot_product_attention(
                query_QTD[None, :, start:end],
                key_QTD[None, :, start:end],
                value_QTD[None, :, start:end],
                is_causal=True,
                scale=scale,
            )
            pieces.append((start, out_QTD[0]))
        for branches in self._branches:
            out_QTD = branches.attend(query_QTD, key_QTD, value_QTD, scale)
            pieces.append((branches.first, out_QTD))
        ordered = [piece for _, piece in sorted(pieces, key=lambda one: one[0])]
        return torch.cat(ordered, dim=1).transpose(0, 1)[None]

    def _lay(self, start: int, group: Tokens, device: torch.device) -> None:
        prompt_end = start + len(group.prompt)
        if len(group.completions) == 1:
            # A single completion simply goes on where the prompt ends.
            self._runs.append((start, start + group.packed))
            return
        self._runs.append((start, prompt_end))
        lengths = [len(completion) - 1 for completion in group.completions]
        if any(lengths):
            self._branches.append(_Branches(start, prompt_end, lengths, device))


class _Branches:
    """The completions of one prompt, attended as a padded batch that shares the prompt's keys."""

    def __init__(self, start: int, first: int, lengths: list[int], device: torch.device) -> None:
        self.first = first
        self._start = start
        self._lengths = lengths
        self._mask = causal_after(first - start, max(lengths), device)

    def attend(self, query_QTD: Tensor, key_QTD: Tensor, value_QTD: Tensor, scale: float) -> Tensor:
        # Padding stands at the end of each completion: the causal mask hides it from the rest.
        out_GQLD = scaled_dot_product_attention(
            self._split(query_QTD),
            self._after_prompt(key_QTD),
            self._after_prompt(value_QTD),
            attn_mask=self._mask,
            scale=scale,
        )
        parts = [out_QLD[:, :n] for out_QLD, n in zip(out_GQLD, self._lengths, strict=True)]
        return torch.cat(parts, dim=1)

    def _split(self, tensor_QTD: Tensor) -> Tensor:
        end = self.first + sum(self._lengths)
        parts = torch.split(tensor_QTD[:, self.first : end].transpose(0, 1), self._lengths)
        return pad_sequence(list(parts), batch_first=True).transpose(1, 2)

    def _after_prompt(self, tensor_QTD: Tensor) -> Tensor:
        prompt_QPD = tensor_QTD[:, self._start : self.first]
        prompt_GQPD = prompt_QPD.expand(len(self._lengths), -1, -1, -1)
        return torch.cat([prompt_GQPD, self._split(tensor_QTD)], dim=2)


class AnswerRow(_Laid):
    """Completions alone, of prompts that were read before; a `Layout` like `Row`.

    Each completion is laid out with the prompt's ending before it, which is for the weights that
    learn. Nothing of the rest of the prompt has a gradient, for nothing in it depends on them.
    """

    def __init__(
        self, groups: Sequence[Tokens], read: Sequence[PrefillLayout], ending: int
    ) -> None:
        """Lay out the completions.

        Args:
            groups: Prompts and completions.
            read: What was read of each group's prompt, without its ending.
            ending: How many of a prompt's last tokens are laid out with each completion.
        """
        ids: list[int] = []
        positions: list[int] = []
        predicts: list[int] = []
        lengths: list[list[int]] = []
        for group in groups:
            before = len(group.prompt) - ending
            for completion in group.completions:
                start, row = len(ids), [*group.prompt[before:], *completion[:-1]]
                ids += row
                positions += range(before, before + len(row))
                predicts += range(start + ending - 1, start + len(row))
            lengths.append([ending + len(completion) - 1 for completion in group.completions])
        device = read[0].kept[0][0].device
        self._parts = [_Continued(past, those) for past, those in zip(read, lengths, strict=True)]
        super().__init__(groups, ids, positions, predicts, device)

    def attend(
        self, layer: int, query_RQTD: Tensor, key_RHTD: Tensor, value_RHTD: Tensor, scale: float
    ) -> Tensor:
        """See `Layout`; R is 1."""
        sizes = [part.tokens for part in self._parts]
        new = (query_RQTD, key_RHTD, value_RHTD)
        new_THD = [torch.split(tensor[0].transpose(0, 1), sizes) for tensor in new]
        out_TQD = [
            part.attend(layer, *own, scale)
            for part, *own in zip(self._parts, *new_THD, strict=True)
        ]
        return torch.cat(out_TQD)[None]


class _Continued:
    """The completions of one prompt that was read before."""

    def __init__(self, past: PrefillLayout, lengths: list[int]) -> None:
        self.tokens = sum(lengths)
        self._kept = past.kept
        device = past.kept[0][0].device
        self._padding = Padding(lengths, device)

    def attend(
        self, layer: int, query_TQD: Tensor, key_THD: Tensor, value_THD: Tensor, scale: float
    ) -> Tensor:
        """[T, Q, D] of this prompt's tokens."""
        past_HPD = [tensor_1HPD[0] for tensor_1HPD in self._kept[layer]]
        out: Tensor = AnswerAttention.apply(  # type: ignore[no-untyped-call]
            query_TQD * scale, key_THD, value_THD, *past_HPD, self._padding
        )
        return out


def rows_of(items: Sequence[T], row_tokens: int, size: Callable[[T], int]) -> list[list[T]]:
    """Split items, in order, into rows of at most so many tokens; a longer one is alone.

    Args:
        items: Groups, or what belongs to them.
        row_tokens: Tokens computed together.
        size: How many of an item's tokens are computed.
    """
    rows: list[list[T]] = []
    room = 0
    for item in items:
        tokens = size(item)
        if not rows or tokens > room:
            rows.append([])
            room = row_tokens
        rows[-1].append(item)
        room -= tokens
    return rows


def parted(group: Tokens, row_tokens: int, size: Callable[[Tokens], int]) -> list[Tokens]:
    """A group whose completions do not fit a row, as several; each has the prompt to itself.

    Args:
        group: A prompt and its completions.
        row_tokens: Tokens computed together; a single completion may be longer.
        size: How many of a group's tokens are computed.
    """
    count = len(group.completions)
    if count == 1 or size(group) <= row_tokens:
        return [group]
    halves = group.completions[: count // 2], group.completions[count // 2 :]
    return [
        part
        for half in halves
        for part in parted(Tokens(prompt=group.prompt, completions=half), row_tokens, size)
    ]
