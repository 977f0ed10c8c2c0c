"""What an update has in common whatever the algorithm: move along a clipped objective.

An algorithm (`grpo`, `ppo`) says what each token's advantage is, and what else is learned with it.
The old log-probabilities are those recorded while sampling; tokens are averaged over the batch and
not first within each answer.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from ml_agent.core.errors import TrainingError, UsageError
from ml_agent.core.records import Completion, Message
from ml_agent.train.policy import Policy

if TYPE_CHECKING:
    from torch import Tensor

    from ml_agent.train.packing import Tokens
    from ml_agent.train.rehearsal import Rehearsed


@dataclass(frozen=True, kw_only=True)
class UpdateConfig:
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
    row_tokens: int | None = None
    """Tokens computed together: bounds memory, changes no result. None: `Policy.row_tokens`."""

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            UsageError: A figure is out of range.
        """
        name = type(self).__name__.removesuffix("Config").lower()
        if self.lr <= 0 or self.max_grad_norm <= 0 or self.kl < 0:
            raise UsageError(f"{name}: lr and max_grad_norm must be positive, kl zero or more")
        if self.temperature <= 0:
            raise UsageError(
                f"{name}: temperature must be positive, for greedy actions teach nothing"
            )
        if self.epochs < 1 or self.minibatches < 1:
            raise UsageError(f"{name}: epochs and minibatches must be at least 1")
        if self.row_tokens is not None and self.row_tokens < 1:
            raise UsageError(f"{name}: row_tokens must be at least 1")
        if not 0 < self.eps_low < 1 or self.eps_high <= 0:
            raise UsageError(f"{name}: eps_low must lie between 0 and 1, eps_high above 0")


@dataclass(frozen=True, kw_only=True)
class Group:
    """The actions sampled in one state, and what they were worth."""

    prompt: tuple[Message, ...]
    completions: tuple[Completion, ...]
    """With the token ids and log-probabilities of sampling."""
    rewards: tuple[float | None, ...]
    """None (or NaN): unknown by our own fault; trains nothing and is left out of every mean."""
    baseline: float | None = None
    """What `grpo` compares the rewards with; None: their own mean. Where a group is only some of
    what was tried, it is the mean of all."""
    weights: tuple[float, ...] | None = None
    """By what each completion's advantages are multiplied; None: by 1."""

    @property
    def known(self) -> dict[int, float]:
        """Rewards that are known, by place."""
        return {
            place: reward
            for place, reward in enumerate(self.rewards)
            if reward is not None and not math.isnan(reward)
        }


@dataclass(frozen=True, kw_only=True)
class Part:
    """Completions of a group that are computed together, as tensors; S runs over their tokens."""

    tokens: "Tokens"
    old_S: "Tensor"
    advantages_S: "Tensor"
    reference_S: "Tensor | None"
    expected: "Expected | None"


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a critic is held to."""

    values_S: "Tensor"
    """What it expected before the update."""
    returns_S: "Tensor"
    """What it should have."""


class Learner(Protocol):
    """An algorithm at work on one policy."""

    @property
    def config(self) -> UpdateConfig:
        """Its figures."""
        ...

    def update(
        self, groups: Sequence[Group], rehearsed: "Rehearsed | None" = None
    ) -> dict[str, float | None]:
        """Move the policy, in place; returns figures, None where no token was trained on.

        Args:
            groups: What was practised.
            rehearsed: What is learned from beside it; None: nothing.

        Raises:
            TrainingError: A completion has no log-probabilities, or numbers are not finite.
        """
        ...

    def state(self) -> dict[str, "Tensor"]:
        """What it has learned beside the policy, for a checkpoint."""
        ...

    def restore(self, state: Mapping[str, "Tensor"]) -> None:
        """Be as `state` was."""
        ...


class Beside(Protocol):
    """What an algorithm learns beside the policy, from the same computation."""

    def loss(self, row: Sequence[Part], hidden_SC: "Tensor", denominator: float) -> "Tensor":
        """To be minimised; its gradient does not reach the policy."""
        ...

    def step(self) -> None:
        """Move along the gradients that have gathered."""
        ...


def tokens_of(policy: Policy, group: Group) -> "Tokens":
    """A group's prompt and the completions whose reward is known.

    Raises:
        TrainingError: A completion has no log-probabilities.
    """
    from ml_agent.train.packing import Tokens

    kept = [group.completions[place] for place in group.known]
    for completion in kept:
        if not completion.token_ids or len(completion.logprobs) != len(completion.token_ids):
            raise TrainingError(
                f"a completion of {completion.policy} carries no log-probabilities, so it cannot "
                "be trained on. Sample with a local model or a server that returns them."
            )
    return Tokens(
        prompt=policy.chat.prompt_ids(group.prompt),
        completions=tuple(completion.token_ids for completion in kept),
    )


def parts_of(
    policy: Policy,
    group: Group,
    tokens: "Tokens",
    advantages_S: "Tensor",
    config: UpdateConfig,
    expected: Expected | None = None,
) -> list[Part]:
    """A group with everything that the objective asks for, in parts that each fit a row.

    Args:
        policy: Whose reference holds the KL term.
        group: Completions with the log-probabilities of sampling.
        tokens: As `tokens_of` gives them.
        advantages_S: Of every token of the completions that count, before the group's weights.
        config: The figures.
        expected: Of the same tokens, where a critic learns too.
    """
    import torch

    device = policy.trained[0].device
    if group.weights is not None:
        kept = [group.weights[i] for i in group.known]
        advantages_S = advantages_S * by_token(kept, tokens).to(advantages_S.device)
    old = [p for i in group.known for p in group.completions[i].logprobs]
    old_S, advantages_S = torch.tensor(old, device=device), advantages_S.to(device)
    parts, start = [], 0
    for part in parted_for(policy, tokens, config):
        here = slice(start, start + part.scored)
        start = here.stop
        reference_S = None
        if config.kl:
            reference_S = policy.reference_logprobs([part], temperature=config.temperature)
        parts.append(
            Part(
                tokens=part,
                old_S=old_S[here],
                advantages_S=advantages_S[here],
                reference_S=reference_S,
                expected=expected
                and Expected(values_S=expected.values_S[here], returns_S=expected.returns_S[here]),
            )
        )
    return parts


def parted_for(policy: Policy, tokens: "Tokens", config: UpdateConfig) -> "list[Tokens]":
    """A group in parts that each fit a row."""
    from ml_agent.train.packing import parted

    return parted(tokens, _row_tokens(policy, config), policy.computed)


def _row_tokens(policy: Policy, config: UpdateConfig) -> int:
    return config.row_tokens or policy.row_tokens


def by_token(values: Sequence[float], tokens: "Tokens") -> "Tensor":
    """[S] each completion's value for every one of its tokens."""
    import torch

    lengths = torch.tensor([len(completion) for completion in tokens.completions])
    return torch.tensor(values, dtype=torch.float32).repeat_interleave(lengths)


def cost(
    policy: Policy,
    groups: Sequence[Sequence[Part]],
    began: float,
    config: UpdateConfig,
    *,
    rehearsed: "Rehearsed | None" = None,
) -> dict[str, float | None]:
    """How much an update learned from, and how fast.

    Args:
        policy: What was moved.
        groups: What it was moved along.
        began: When the update did, by the monotonic clock.
        config: How often, and in how many steps.
        rehearsed: What was rehearsed with every step.

    Returns:
        Tokens computed forwards and backwards; what is computed forwards alone, for the reference
        or a critic, takes time and is not among them.
    """
    computed = config.epochs * sum(policy.computed(one.tokens) for its in groups for one in its)
    if rehearsed is not None:
        steps = config.epochs * len(_minibatches(groups, config.minibatches))
        computed += steps * rehearsed.computed
    seconds = monotonic() - began
    return {
        "tokens": computed,
        "tokens_per_s": computed / seconds,
        "learning_s": seconds,
    }


def move(
    policy: Policy,
    groups: Sequence[Sequence[Part]],
    config: UpdateConfig,
    *,
    beside: Beside | None = None,
    rehearsed: "Rehearsed | None" = None,
) -> dict[str, float | None]:
    """Move a policy, in place, along the clipped objective.

    Args:
        policy: What learns.
        groups: What was practised, each group in parts; where there is nothing, nothing is
            rehearsed either.
        config: The figures.
        beside: What is learned from the same computation.
        rehearsed: Examples whose gradient is added in every step.

    Returns:
        Figures of the update; None where no token was trained on.

    Raises:
        TrainingError: Numbers are not finite.
    """
    import torch

    from ml_agent.train.packing import rows_of

    figures = _Figures()
    row_tokens = _row_tokens(policy, config)
    optimizer = policy.optimizer(config.lr)
    for _ in range(config.epochs):
        for minibatch in _minibatches(groups, config.minibatches):
            optimizer.zero_grad(set_to_none=True)
            parts = [part for group in minibatch for part in group]
            denominator = sum(part.tokens.scored for part in parts)
            for row in rows_of(parts, row_tokens, lambda part: policy.computed(part.tokens)):
                _backward(policy, row, config, denominator, figures, beside)
            if rehearsed is not None:
                figures.rehearsed.append(rehearsed.add_gradient())
            norm = float(torch.nn.utils.clip_grad_norm_(policy.trained, config.max_grad_norm))
            if not math.isfinite(norm):
                raise TrainingError(
                    f"the gradient of an update is {norm}. Choose a lower learning rate, in a run "
                    "of another name."
                )
            optimizer.step()
            figures.norms.append(norm)
            if beside is not None:
                beside.step()
    optimizer.zero_grad(set_to_none=True)
    return figures.summary()


class _Figures:
    """What is gathered over the rows of an update."""

    def __init__(self) -> None:
        self.loss = 0.0
        self.norms: list[float] = []
        self.rehearsed: list[float] = []
        self.rows: list[dict[str, Tensor]] = []

    def summary(self) -> dict[str, float | None]:
        import torch

        if not self.rows:
            names = (
                "rehearsed_loss",
                "loss",
                "grad_norm",
                "kl",
                "clip_share",
                "ratio_mean",
                "ratio_max",
            )
            return dict.fromkeys(names)
        joined = {name: torch.cat([row[name] for row in self.rows]) for name in self.rows[0]}
        count = len(self.rehearsed)
        return {
            "rehearsed_loss": sum(self.rehearsed) / count if count else None,
            "loss": self.loss / len(self.norms),
            "grad_norm": sum(self.norms) / len(self.norms),
            "kl": float(joined["kl"].mean()) if "kl" in joined else None,
            "clip_share": float(joined["clipped"].mean()),
            "ratio_mean": float(joined["ratio"].mean()),
            "ratio_max": float(joined["ratio"].max()),
        }


def _backward(
    policy: Policy,
    row: Sequence[Part],
    config: UpdateConfig,
    denominator: float,
    figures: _Figures,
    beside: Beside | None,
) -> None:
    """Add one row's gradient: rows are computed apart to bound memory."""
    import torch

    from ml_agent.train.losses import clipped_surrogate, k3_divergence

    tokens = [part.tokens for part in row]
    logprobs_S, hidden_SC = policy.token_outputs(tokens, temperature=config.temperature)
    surrogate = clipped_surrogate(
        logprobs_S,
        torch.cat([part.old_S for part in row]),
        torch.cat([part.advantages_S for part in row]),
        eps_low=config.eps_low,
        eps_high=config.eps_high,
        denominator=denominator,
    )
    seen = {
        "ratio": surrogate.ratio_S,
        "clipped": surrogate.clipped_S.float(),
    }
    loss = surrogate.loss
    references = [part.reference_S for part in row if part.reference_S is not None]
    if references:
        kl_S = k3_divergence(logprobs_S, torch.cat(references))
        loss = loss + config.kl * kl_S.sum() / denominator
        seen["kl"] = kl_S.detach()
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TrainingError(
            f"the loss of an update is {value}. Choose a lower learning rate, in a run of another "
            "name."
        )
    if beside is not None:
        loss = loss + beside.loss(row, hidden_SC, denominator)
    loss.backward()  # type: ignore[no-untyped-call]
    figures.loss += value
    figures.rows.append(seen)


def _minibatches(groups: Sequence[Sequence[Part]], count: int) -> list[Sequence[Sequence[Part]]]:
    """Split into at most `count` of nearly as many groups, none of them empty."""
    count = min(count, len(groups))
    return [groups[i * len(groups) // count : (i + 1) * len(groups) // count] for i in range(count)]
