"""Sampling many continuations of many prompts in one loop.

Each prompt is read once (`models.prompts`), but for its end, which is fed token by token like what
follows: it may be for other weights than the rest (an adapter that acts on answers alone). Then
every row takes one token a step (`models.steps`).

Each row draws its random numbers from its own stream, so what a row says does not depend on how
rows are batched (up to rounding).
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import torch
from torch import Tensor

from ml_agent.models.contract import Sampling
from ml_agent.models.prompts import PromptCache
from ml_agent.models.steps import steps_after


@dataclass
class Sampled:
    """The tokens of one continuation, the stop token included, and their log-probabilities."""

    token_ids: list[int]
    logprobs: list[float]
    finished: bool


@torch.no_grad()
def decode(
    network: Any,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    cache: PromptCache,
    stops: Collection[int],
    seeds: Sequence[int],
    ending: int = 1,
    until: float = math.inf,
) -> list[list[Sampled]]:
    """Continue every prompt `sampling.samples` times.

    Args:
        network: A causal language model made ready by `use_layouts`; it writes.
        prompts: Token ids, each longer than `ending`.
        sampling: How to sample.
        cache: Reads the prompts.
        stops: Tokens that end a continuation.
        seeds: One per prompt.
        ending: How many of a prompt's last tokens the writer itself reads.
        until: When to stop, as `time.monotonic` tells it: what is not said by then is cut off.
    """
    device = network.device
    prompt_R = torch.arange(len(prompts), device=device).repeat_interleave(sampling.samples)
    steps = steps_after(
        network,
        # Nobody else holds what was read: the steps have copies of it, and it is large.
        cache.read([prompt[:-ending] for prompt in prompts]),
        prompt_R,
        room=ending + sampling.max_tokens,
    )
    position_R = torch.tensor([len(prompt) - ending for prompt in prompts], device=device)[prompt_R]
    for place in range(-ending, 0):
        token_B = torch.tensor([prompt[place] for prompt in prompts], device=device)
        hidden_RC = steps.feed(token_B[prompt_R], position_R)
        position_R = position_R + 1
    uniform_RL = _uniform(seeds, sampling).to(device)
    rows = [Sampled([], [], finished=False) for _ in range(len(prompt_R))]
    alive = torch.arange(len(rows), device=device)
    live = list(range(len(rows)))
    for step in range(sampling.max_tokens):
        logits_RV = network.lm_head(hidden_RC).float()
        token_R, logprob_R = _choose(logits_RV, uniform_RL[alive, step], sampling)
        for row, token, logprob in zip(live, token_R.tolist(), logprob_R.tolist(), strict=True):
            if not rows[row].finished:
                rows[row].token_ids.append(token)
                rows[row].logprobs.append(logprob)
                rows[row].finished = token in stops
        going = [place for place, row in enumerate(live) if not rows[row].finished]
        if not going or step + 1 == sampling.max_tokens or monotonic() >= until:
            break
        # Rearranging the past costs about as much as an eighth of the rows in one step.
        if steps.rows_may_leave and len(live) - len(going) > len(live) // 8:
            stay = torch.tensor(going, device=device)
            steps.keep(stay)
            alive, token_R, live = alive[stay], token_R[stay], [live[place] for place in going]
        hidden_RC = steps.feed(token_R, position_R[alive] + step)
    starts = range(0, len(rows), sampling.samples)
    return [rows[start : start + sampling.samples] for start in starts]


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
