"""Group-relative policy optimisation: an action is as good as it earns beyond its state's mean.

    A = R - mean of the state's actions (or of the attempts at a task: `Group.baseline`)

Deviations from GRPO as published (arXiv:2402.03300): advantages are not divided by the standard
deviation, tokens are averaged over the batch and not first within each answer, and the old
log-probabilities are those recorded while sampling.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from ml_agent.train.policy import Policy
from ml_agent.train.update import (
    Group,
    Part,
    UpdateConfig,
    by_token,
    cost,
    move,
    parts_of,
    tokens_of,
)

if TYPE_CHECKING:
    from torch import Tensor

    from ml_agent.train.rehearsal import Rehearsed


@dataclass(frozen=True, kw_only=True)
class GRPOConfig(UpdateConfig):
    """How far one update goes."""


class GRPO:
    """The algorithm at work on one policy; nothing is learned beside it."""

    def __init__(self, policy: Policy, config: GRPOConfig) -> None:
        """Choose the policy."""
        self._policy = policy
        self.config = config

    def update(
        self, groups: Sequence[Group], rehearsed: "Rehearsed | None" = None
    ) -> dict[str, float | None]:
        """See `grpo_update`."""
        return grpo_update(self._policy, groups, self.config, rehearsed)

    def state(self) -> dict[str, "Tensor"]:
        """Nothing."""
        return {}

    def restore(self, state: Mapping[str, "Tensor"]) -> None:
        """Nothing is to be restored."""


def grpo_update(
    policy: Policy,
    groups: Sequence[Group],
    config: GRPOConfig,
    rehearsed: "Rehearsed | None" = None,
) -> dict[str, float | None]:
    """Move the policy, in place, towards the better actions of each group.

    Groups whose known rewards are all equal have no policy gradient; they are left out, their KL
    term with them, which saves their computation.

    Returns:
        Figures of the update; None where no token was trained on.

    Raises:
        TrainingError: A completion has no log-probabilities, or numbers are not finite.
    """
    began = monotonic()
    learned: list[list[Part]] = []
    spreads: list[float] = []
    for group in groups:
        advantages = _advantages(group)
        spreads.append(max(map(abs, advantages), default=0.0))
        if spreads[-1] > 1e-9:
            tokens = tokens_of(policy, group)
            advantages_S = by_token(advantages, tokens)
            learned.append(parts_of(policy, group, tokens, advantages_S, config))
    figures = move(policy, learned, config, rehearsed=rehearsed)
    return {
        **figures,
        "advantage_spread": sum(spreads) / max(1, len(spreads)),
        "zero_spread_groups": 1 - len(learned) / max(1, len(groups)),
        **cost(policy, learned, began, config, rehearsed=rehearsed),
    }


def _advantages(group: Group) -> list[float]:
    """Advantages of the completions whose reward is known, in their order."""
    import torch

    from ml_agent.train.losses import group_advantages

    if group.baseline is not None:
        return [reward - group.baseline for reward in group.known.values()]
    rewards = [group.known.get(place, math.nan) for place in range(len(group.rewards))]
    advantages_BG = group_advantages(torch.tensor([rewards], dtype=torch.float64))
    return [float(advantages_BG[0, place]) for place in group.known]
