"""One update of group-relative policy optimisation on actions that were tried.

Deviations from GRPO as published (arXiv:2402.03300): advantages are not divided by the standard
deviation, tokens are averaged over the batch and not first within each answer, and the old
log-probabilities are those recorded while sampling.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from ml_agent.core.errors import TrainingError, UsageError
from ml_agent.core.records import Completion, Message
from ml_agent.train.policy import Policy

if TYPE_CHECKING:
    from torch import Tensor

    from ml_agent.train.packing import Tokens


@dataclass(frozen=True, kw_only=True)
class GRPOConfig:
    """How far one update goes."""

    lr: float = 2e-4
    """For a LoRA adapter; all weights want about a hundredth of it."""
    eps_low: float = 0.2
    eps_high: float = 0.2
    """An upper bound of 0.28 keeps more exploration alive (DAPO)."""
    kl: float = 0.001
    """Weight of the KL term against the reference; 0 saves a quarter of the update's time."""
    temperature: float = 1.0
    """Of the policy that acts and learns: pi_theta is the model's distribution at it."""
    epochs: int = 1
    minibatches: int = 1
    """Optimiser steps an epoch."""
    max_grad_norm: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            UsageError: A figure is out of range.
        """
        if self.lr <= 0 or self.max_grad_norm <= 0 or self.kl < 0:
            raise UsageError("grpo: lr and max_grad_norm must be positive, kl zero or more")
        if self.temperature <= 0:
            raise UsageError("grpo: temperature must be positive, for greedy actions teach nothing")
        if self.epochs < 1 or self.minibatches < 1:
            raise UsageError("grpo: epochs and minibatches must be at least 1")
        if not 0 < self.eps_low < 1 or self.eps_high <= 0:
            raise UsageError("grpo: eps_low must lie between 0 and 1, eps_high above 0")


@dataclass(frozen=True, kw_only=True)
class Group:
    """The actions sampled in one state, and what they were worth."""

    prompt: tuple[Message, ...]
    completions: tuple[Completion, ...]
    """With the token ids and log-probabilities of sampling."""
    rewards: tuple[float | None, ...]
    """None (or NaN): unknown by our own fault; trains nothing and is left out of the mean."""


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """A group as tensors; S runs over the tokens of the completions that count."""

    tokens: "Tokens"
    old_S: "Tensor"
    advantages_S: "Tensor"
    reference_S: "Tensor | None"


def grpo_update(
    policy: Policy, groups: Sequence[Group], config: GRPOConfig
) -> dict[str, float | None]:
    """Move the policy, in place, towards the better actions of each group.

    Groups whose known rewards are all equal have no policy gradient; they are left out, their KL
    term with them, which saves their computation.

    Returns:
        Figures of the update; None where no token was trained on.

    Raises:
        TrainingError: A completion has no log-probabilities, or numbers are not finite.
    """
    import torch

    began = monotonic()
    batches, spreads = [], []
    for group in groups:
        advantages = _advantages(group)
        spreads.append(max(map(abs, advantages.values()), default=0.0))
        if spreads[-1] > 1e-9:
            batches.append(_batch(policy, group, advantages, config))
    figures = _Figures()
    optimizer = policy.optimizer(config.lr)
    for _ in range(config.epochs):
        for part in _parts(batches, config.minibatches):
            optimizer.zero_grad(set_to_none=True)
            denominator = sum(batch.tokens.scored for batch in part)
            for batch in part:
                _backward(policy, batch, config, denominator, figures)
            norm = float(torch.nn.utils.clip_grad_norm_(policy.trained, config.max_grad_norm))
            if not math.isfinite(norm):
                raise TrainingError(
                    f"the gradient of an update is {norm}. Lower grpo.lr, and go on from the last "
                    "checkpoint."
                )
            optimizer.step()
            figures.norms.append(norm)
    optimizer.zero_grad(set_to_none=True)
    tokens, seconds = sum(policy.computed(one.tokens) for one in batches), monotonic() - began
    return {
        **figures.summary(),
        "advantage_spread": sum(spreads) / max(1, len(spreads)),
        "zero_spread_groups": 1 - len(batches) / max(1, len(groups)),
        "tokens": tokens,
        "tokens_per_s": tokens / seconds,
        "grpo_s": seconds,
    }


class _Figures:
    """What is gathered over the rows of an update."""

    def __init__(self) -> None:
        self.loss = 0.0
        self.norms: list[float] = []
        self.rows: list[dict[str, Tensor]] = []

    def summary(self) -> dict[str, float | None]:
        import torch

        if not self.rows:
            names = ("loss", "grad_norm", "kl", "entropy", "clip_share", "ratio_mean", "ratio_max")
            return dict.fromkeys(names)
        joined = {name: torch.cat([row[name] for row in self.rows]) for name in self.rows[0]}
        return {
            "loss": self.loss / len(self.norms),
            "grad_norm": sum(self.norms) / len(self.norms),
            "kl": float(joined["kl"].mean()) if "kl" in joined else None,
            "entropy": float(-joined["logprob"].mean()),
            "clip_share": float(joined["clipped"].mean()),
            "ratio_mean": float(joined["ratio"].mean()),
            "ratio_max": float(joined["ratio"].max()),
        }


def _advantages(group: Group) -> dict[int, float]:
    """Advantages of the completions whose reward is known, by their place in the group."""
    import torch

    from ml_agent.train.losses import group_advantages

    rewards = [math.nan if reward is None else reward for reward in group.rewards]
    advantages_BG = group_advantages(torch.tensor([rewards], dtype=torch.float64))
    known = [i for i, reward in enumerate(rewards) if not math.isnan(reward)]
    return {i: float(advantages_BG[0, i]) for i in known}


def _batch(
    policy: Policy, group: Group, advantages: dict[int, float], config: GRPOConfig
) -> _Batch:
    import torch

    from ml_agent.train.packing import Tokens

    kept = [group.completions[i] for i in advantages]
    for completion in kept:
        if not completion.token_ids or len(completion.logprobs) != len(completion.token_ids):
            raise TrainingError(
                f"a completion of {completion.policy} carries no log-probabilities, so it cannot "
                "be trained on. Sample with a local model or a server that returns them."
            )
    tokens = Tokens(
        prompt=policy.chat.prompt_ids(group.prompt),
        completions=tuple(completion.token_ids for completion in kept),
    )
    device = policy.trained[0].device
    lengths = torch.tensor([len(completion.token_ids) for completion in kept])
    weights_G = torch.tensor(list(advantages.values()), dtype=torch.float32)
    return _Batch(
        tokens=tokens,
        old_S=torch.tensor([p for one in kept for p in one.logprobs], device=device),
        advantages_S=weights_G.repeat_interleave(lengths).to(device),
        reference_S=policy.reference_logprobs([tokens], temperature=config.temperature)
        if config.kl
        else None,
    )


def _backward(
    policy: Policy, batch: _Batch, config: GRPOConfig, denominator: float, figures: _Figures
) -> None:
    """Add one row's gradient: rows are computed apart to bound memory."""
    from ml_agent.train.losses import clipped_surrogate, k3_divergence

    logprobs_S = policy.token_logprobs([batch.tokens], temperature=config.temperature)
    surrogate = clipped_surrogate(
        logprobs_S,
        batch.old_S,
        batch.advantages_S,
        eps_low=config.eps_low,
        eps_high=config.eps_high,
        denominator=denominator,
    )
    seen = {
        "logprob": logprobs_S.detach(),
        "ratio": surrogate.ratio_S,
        "clipped": surrogate.clipped_S.float(),
    }
    loss = surrogate.loss
    if batch.reference_S is not None:
        kl_S = k3_divergence(logprobs_S, batch.reference_S)
        loss = loss + config.kl * kl_S.sum() / denominator
        seen["kl"] = kl_S.detach()
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TrainingError(
            f"the loss of an update is {value}. Lower grpo.lr, and go on from the last checkpoint."
        )
    loss.backward()  # type: ignore[no-untyped-call]
    figures.loss += value
    figures.rows.append(seen)


def _parts(batches: Sequence[_Batch], count: int) -> list[Sequence[_Batch]]:
    """Split into at most `count` parts of nearly equal size, none of them empty."""
    count = min(count, len(batches))
    return [
        batches[i * len(batches) // count : (i + 1) * len(batches) // count] for i in range(count)
    ]
