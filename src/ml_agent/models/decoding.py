"""Sampling many continuations of many prompts in one loop.

Each prompt is computed once, and what several prompts begin with (all with the system message,
those of one task with its statement) once for all of them. Then every row takes one token a step;
rows that ended leave the batch.

Each row draws its random numbers from its own stream, so what a row says does not depend on how
rows are batched (up to rounding).
"""

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ml_agent.models.attention import DecodeLayout, PrefillLayout
from ml_agent.models.contract import Sampling

_WORTH_SHARING = 16
"""Tokens that prompts must have in common before computing them apart saves time."""


@dataclass
class Sampled:
    """The tokens of one continuation, the stop token included, and their log-probabilities."""

    token_ids: list[int]
    logprobs: list[float]
    finished: bool


@torch.inference_mode()
def decode(
    network: Any,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    stops: Collection[int],
    seeds: Sequence[int],
) -> list[list[Sampled]]:
    """Continue every prompt `sampling.samples` times.

    Args:
        network: A causal language model made ready by `use_layouts`.
        prompts: Token ids, none of them empty.
        sampling: How to sample.
        stops: Tokens that end a continuation.
        seeds: One per prompt.
    """
    device = network.device
    prefilled = _prefill(network, prompts)
    prompt_R = torch.arange(len(prompts), device=device).repeat_interleave(sampling.samples)
    layout = DecodeLayout([kept for kept, _ in prefilled], prompt_R)
    logits_RV = torch.stack([logits for _, logits in prefilled])[prompt_R]
    position_R = torch.tensor([len(prompt) for prompt in prompts], device=device)[prompt_R]
    uniform_RL = _uniform(seeds, sampling).to(device)
    rows = [Sampled([], [], finished=False) for _ in range(len(prompt_R))]
    alive = torch.arange(len(rows), device=device)
    live = list(range(len(rows)))
    for step in range(sampling.max_tokens):
        token_R, logprob_R = _choose(logits_RV, uniform_RL[alive, step], sampling)
        for row, token, logprob in zip(live, token_R.tolist(), logprob_R.tolist(), strict=True):
            if not rows[row].finished:
                rows[row].token_ids.append(token)
                rows[row].logprobs.append(logprob)
                rows[row].finished = token in stops
        going = [place for place, row in enumerate(live) if not rows[row].finished]
        if not going or step + 1 == sampling.max_tokens:
            break
        # Rearranging the past costs about as much as an eighth of the rows in one step.
        if len(live) - len(going) > len(live) // 8:
            stay = torch.tensor(going, device=device)
            layout.keep(stay)
            alive, token_R, live = alive[stay], token_R[stay], [live[place] for place in going]
        hidden_R1C = network.base_model(
            input_ids=token_R[:, None],
            position_ids=(position_R[alive] + step)[:, None],
            use_cache=False,
            layout=layout,
        ).last_hidden_state
        layout.advance()
        logits_RV = network.lm_head(hidden_R1C[:, -1]).float()
    starts = range(0, len(rows), sampling.samples)
    return [rows[start : start + sampling.samples] for start in starts]


_Prefilled = tuple[PrefillLayout, Tensor]


def _prefill(network: Any, prompts: Sequence[Sequence[int]]) -> list[_Prefilled]:
    """Keys, values and the logits after the last token of each prompt."""
    done: dict[tuple[int, ...], _Prefilled] = {}
    _grow(network, list(dict.fromkeys(map(tuple, prompts))), 0, None, done)
    return [done[tuple(prompt)] for prompt in prompts]


def _grow(
    network: Any,
    prompts: list[tuple[int, ...]],
    start: int,
    past: PrefillLayout | None,
    done: dict[tuple[int, ...], _Prefilled],
) -> None:
    """Compute different prompts from `start` on as a tree: what some of them share, once.

    Args:
        network: Of the keys and values.
        prompts: All longer than `start` and equal before it.
        start: How many of their tokens `past` holds.
        past: What has been computed of them.
        done: Where the prompts' ends are put.
    """
    common = common_prefix(prompts) if len(prompts) > 1 else start
    worth = common - start >= _WORTH_SHARING
    if worth:
        shared = PrefillLayout(past)
        _forward(network, prompts[0][start:common], start, shared)
        start, past = common, shared
    branches: dict[int, list[tuple[int, ...]]] = {}
    for prompt in prompts:
        branches.setdefault(prompt[common], []).append(prompt)
    if len(prompts) > 1 and (worth or len(branches) > 1):
        for branch in branches.values():
            _grow(network, branch, start, past, done)
        return
    for prompt in prompts:
        layout = PrefillLayout(past)
        hidden_TC = _forward(network, prompt[start:], start, layout)
        done[prompt] = layout, network.lm_head(hidden_TC[-1]).float()


def common_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with; one less than the shortest at most."""
    shortest = min(len(prompt) for prompt in prompts)
    columns = zip(*(prompt[: shortest - 1] for prompt in prompts), strict=True)
    return sum(1 for _ in itertools.takewhile(lambda column: len(set(column)) == 1, columns))


def _forward(network: Any, ids: Sequence[int], start: int, layout: PrefillLayout) -> Tensor:
    ids_T = torch.tensor(ids, device=network.device)
    positions_T = torch.arange(start, start + len(ids), device=network.device)
    out = network.base_model(
        input_ids=ids_T[None], position_ids=positions_T[None], use_cache=False, layout=layout
    )
    hidden: Tensor = out.last_hidden_state[0]
    return hidden


def _uniform(seeds: Sequence[int], sampling: Sampling) -> Tensor:
    """[R, L] numbers in [0, 1); each prompt's from its own stream."""
    drawn = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        drawn.append(torch.rand(sampling.samples, sampling.max_tokens, generator=generator))
    return torch.cat(drawn)


def _choose(logits_RV: Tensor, uniform_R: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Sample one token a row by inverting the cumulative distribution.

    Returns:
        [R] tokens, and [R] log-probabilities under the distribution sampled from; when greedy,
        under the model's own.
    """
    if sampling.temperature == 0:
        token_R = logits_RV.argmax(dim=-1)
    else:
        if sampling.temperature != 1:
            logits_RV = logits_RV / sampling.temperature
        if sampling.top_p < 1:
            logits_RV = _nucleus(logits_RV, sampling.top_p)
        cumulative_RV = logits_RV.softmax(dim=-1).cumsum(dim=-1)
        # Below 1 by more than rounding, so that the search never runs past the last likely token.
        drawn_R1 = uniform_R.clamp(max=1 - 1e-6)[:, None] * cumulative_RV[:, -1:]
        token_R = torch.searchsorted(cumulative_RV, drawn_R1, right=True)[:, 0]
    chosen_R = logits_RV.gather(1, token_R[:, None])[:, 0]
    return token_R, chosen_R - logits_RV.logsumexp(dim=-1)


def _nucleus(logits_RV: Tensor, top_p: float) -> Tensor:
    """Leave only the smallest set of likeliest tokens whose probability reaches `top_p`."""
    sorted_RV, order_RV = logits_RV.sort(dim=-1, descending=True)
    probability_RV = sorted_RV.softmax(dim=-1)
    before_RV = probability_RV.cumsum(dim=-1) - probability_RV
    sorted_RV = sorted_RV.masked_fill(before_RV >= top_p, float("-inf"))
    return torch.empty_like(logits_RV).scatter_(1, order_RV, sorted_RV)
