"""Attention of a prompt's completions, forwards and backwards, when the prompt does not learn.

softmax([Q K_p', Q K_o']) [V_p; V_o] for tokens that all see the same past p and, causally, their
own completion o. Written out because a graph of stock operations copies the past once for each
completion and computes gradients of it that nobody wants. Weights are computed again going
backwards, not kept.

Shapes: T tokens of all completions, G completions, L tokens of the longest, P tokens of the past,
Q query heads, H key-value heads, q query heads for each of them, n = T q, l = q L, D head size.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class Padding:
    """Between tokens in a row, [T], and completions beside each other, [G, L]."""

    def __init__(self, lengths: list[int], device: torch.device) -> None:
        """Lay out completions that have so many tokens."""
        longest, start = max(lengths), 0
        padded: list[int] = []
        places: list[int] = []
        for number, length in enumerate(lengths):
            padded += [*range(start, start + length), *[start] * (longest - length)]
            places += range(number * longest, number * longest + length)
            start += length
        self._shape = (len(lengths), longest)
        self._padded = torch.tensor(padded, device=device)
        self._places = torch.tensor(places, device=device)
        later_LL = torch.ones(longest, longest, dtype=torch.bool, device=device).triu(1)
        ended_GL = torch.arange(longest) >= torch.tensor(lengths)[:, None]
        self.hidden_GLL = later_LL | ended_GL[:, :, None].to(device)

    def apart(self, tensor_TXD: Tensor, heads: int) -> Tensor:
        """[T, X, D] to [G, H, X / H * L, D]; where a completion has ended stands anything."""
        rows, longest = self._shape
        tensor_GLHqD = tensor_TXD.index_select(0, self._padded).view(
            rows, longest, heads, -1, tensor_TXD.shape[2]
        )
        return tensor_GLHqD.permute(0, 2, 3, 1, 4).flatten(2, 3)

    def together(self, tensor_GHlD: Tensor) -> Tensor:
        """[G, H, X / H * L, D] to [T, X, D]."""
        rows, longest = self._shape
        heads, _, size = tensor_GHlD.shape[1:]
        tensor_GHqLD = tensor_GHlD.view(rows, heads, -1, longest, size)
        tensor_GLXD = tensor_GHqLD.permute(0, 3, 1, 2, 4).flatten(2, 3)
        return tensor_GLXD.flatten(0, 1).index_select(0, self._places)


class AnswerAttention(Function):
    """See the head of this file. Queries come scaled."""

    @staticmethod
    def forward(
        ctx: Any,
        query_TQD: Tensor,
        key_THD: Tensor,
        value_THD: Tensor,
        past_key_HPD: Tensor,
        past_value_HPD: Tensor,
        padding: Padding,
    ) -> Tensor:
        """[T, Q, D]."""
        tokens, heads = key_THD.shape[:2]
        past_HnP, own_GHlL = _scores(query_TQD, key_THD, past_key_HPD, padding)
        past_top_TQ1 = _rows(past_HnP.amax(dim=-1, keepdim=True), tokens)
        own_top_TQ1 = padding.together(own_GHlL.amax(dim=-1, keepdim=True))
        top_TQ1 = torch.maximum(past_top_TQ1, own_top_TQ1)
        past_HnP, own_GHlL = _exponentials(past_HnP, own_GHlL, top_TQ1, padding)
        sum_TQ1 = _rows(past_HnP.sum(dim=-1, keepdim=True), tokens)
        sum_TQ1 = sum_TQ1 + padding.together(own_GHlL.sum(dim=-1, keepdim=True))
        kind = value_THD.dtype
        own_GHlD = own_GHlL.to(kind) @ padding.apart(value_THD, heads)
        out_TQD = _rows(past_HnP.to(kind) @ past_value_HPD, tokens) + padding.together(own_GHlD)
        out_TQD = (out_TQD / sum_TQ1).to(kind)
        ctx.save_for_backward(
            query_TQD,
            key_THD,
            value_THD,
            past_key_HPD,
            past_value_HPD,
            out_TQD,
            top_TQ1 + sum_TQ1.log(),
        )
        ctx.padding = padding
        return out_TQD

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_TQD: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of queries, keys and values of the completions."""
        query_TQD, key_THD, value_THD, past_key_HPD, past_value_HPD, out_TQD, norm_TQ1 = (
            ctx.saved_tensors
        )
        padding, kind = ctx.padding, value_THD.dtype
        tokens, heads = key_THD.shape[:2]
        past_HnP, own_GHlL = _scores(query_TQD, key_THD, past_key_HPD, padding)
        past_HnP, own_GHlL = _exponentials(past_HnP, own_GHlL, norm_TQ1, padding)
        wide = norm_TQ1.dtype
        inner_TQ1 = (grad_TQD.to(wide) * out_TQD.to(wide)).sum(dim=-1, keepdim=True)
        grad_GHlD = padding.apart(grad_TQD, heads)
        value_GHLD = padding.apart(value_THD, heads)
        grad_value_GHLD = own_GHlL.to(kind).transpose(2, 3) @ grad_GHlD
        # d softmax: each weight times what its value would add beyond the mean.
        # Nearly equal numbers are taken from each other here: in few bits little would be left.
        past_grad_HnP = _columns(grad_TQD, heads).to(wide) @ past_value_HPD.transpose(1, 2).to(wide)
        past_HnP *= past_grad_HnP.sub_(_columns(inner_TQ1, heads))
        own_grad_GHlL = grad_GHlD.to(wide) @ value_GHLD.transpose(2, 3).to(wide)
        own_GHlL *= own_grad_GHlL.sub_(padding.apart(inner_TQ1, heads))
        own_GHlL = own_GHlL.to(kind)
        grad_query_TQD = _rows(past_HnP.to(kind) @ past_key_HPD, tokens) + padding.together(
            own_GHlL @ padding.apart(key_THD, heads)
        )
        grad_key_GHLD = own_GHlL.transpose(2, 3) @ padding.apart(query_TQD, heads)
        return (
            grad_query_TQD,
            padding.together(grad_key_GHLD),
            padding.together(grad_value_GHLD),
            None,
            None,
            None,
        )


def _scores(
    query_TQD: Tensor, key_THD: Tensor, past_key_HPD: Tensor, padding: Padding
) -> tuple[Tensor, Tensor]:
    """[H, n, P] with the past, and [G, H, l, L] with one's own completion, in float32 at least."""
    heads, wide = key_THD.shape[1], torch.promote_types(key_THD.dtype, torch.float32)
    past_HnP = _columns(query_TQD, heads).to(wide) @ past_key_HPD.transpose(1, 2).to(wide)
    query_GHlD, key_GHLD = padding.apart(query_TQD, heads), padding.apart(key_THD, heads)
    own_GHlL = query_GHlD.to(wide) @ key_GHLD.transpose(2, 3).to(wide)
    longest = own_GHlL.shape[3]
    own_GHqLL = own_GHlL.view(*own_GHlL.shape[:2], -1, longest, longest)
    own_GHqLL.masked_fill_(padding.hidden_GLL[:, None, None], float("-inf"))
    return past_HnP, own_GHlL


def _exponentials(
    past_HnP: Tensor, own_GHlL: Tensor, shift_TQ1: Tensor, padding: Padding
) -> tuple[Tensor, Tensor]:
    """exp(score - shift), in place."""
    heads = past_HnP.shape[0]
    past_HnP.sub_(_columns(shift_TQ1, heads)).exp_()
    own_GHlL.sub_(padding.apart(shift_TQ1, heads)).exp_()
    return past_HnP, own_GHlL


def _columns(tensor_TXD: Tensor, heads: int) -> Tensor:
    """[T, X, D] to [H, n, D]: all queries of a key-value head below each other."""
    tokens, _, size = tensor_TXD.shape
    return tensor_TXD.reshape(tokens, heads, -1, size).permute(1, 0, 2, 3).flatten(1, 2)


def _rows(tensor_HnD: Tensor, tokens: int) -> Tensor:
    """The way back, [T, Q, D]."""
    heads, _, size = tensor_HnD.shape
    return tensor_HnD.view(heads, tokens, -1, size).permute(1, 0, 2, 3).flatten(1, 2)
