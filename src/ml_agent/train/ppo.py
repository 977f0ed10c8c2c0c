"""Proximal policy optimisation with a critic: the paper's algorithm.

    J = E[ min(rho_i A_i, clip(rho_i, 1 - eps, 1 + eps) A_i) ]     (arXiv 2505.23723, section 3.2)

An action's reward comes at its end. With gamma = lambda = 1, the default, generalised advantage
estimation makes of it A_i = R - V_i: what the action earned beyond what the critic expected before
token i.

Deviation: the paper's critic is a second model. Here it is a linear head on the policy's own last
hidden states, which its loss does not reach: it costs nothing, and sees what the policy sees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from ml_agent.core.errors import UsageError
from ml_agent.train.checkpoints import momenta, restore_momenta
from ml_agent.train.policy import Policy
from ml_agent.train.update import (
    Expected,
    Group,
    Part,
    UpdateConfig,
    cost,
    move,
    parted_for,
    parts_of,
    tokens_of,
)

if TYPE_CHECKING:
    from torch import Tensor

    from ml_agent.train.packing import Tokens
    from ml_agent.train.rehearsal import Rehearsed


@dataclass(frozen=True, kw_only=True)
class PPOConfig(UpdateConfig):
    """How far one update goes."""

    critic_lr: float = 1e-3
    """Of the critic's head."""
    value_clip: float = 0.5
    """How far a value may move from what it was before the update."""
    gamma: float = 1.0
    lam: float = 1.0
    whiten: bool = True
    """Bring the advantages of an update to mean 0 and standard deviation 1, as verl does."""

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            UsageError: A figure is out of range.
        """
        super().__post_init__()
        if self.critic_lr <= 0 or self.value_clip <= 0:
            raise UsageError("ppo: critic_lr and value_clip must be positive")
        if not (0 <= self.gamma <= 1 and 0 <= self.lam <= 1):
            raise UsageError("ppo: gamma and lam must lie between 0 and 1")


class Critic:
    """Expects what an action will earn, from what the policy has read and written so far."""

    def __init__(self, policy: Policy) -> None:
        """Expect nothing yet."""
        import torch

        self._head = torch.nn.Linear(policy.width, 1, device=policy.trained[0].device)
        torch.nn.init.zeros_(self._head.weight)
        torch.nn.init.zeros_(self._head.bias)
        self._optimizer = torch.optim.AdamW(self._head.parameters(), weight_decay=0.0)

    def values(self, hidden_SC: "Tensor") -> "Tensor":
        """[S] expected rewards; the gradient ends at the hidden states."""
        values: Tensor = self._head(hidden_SC.detach().float()).squeeze(-1)
        return values

    def step(self, lr: float) -> None:
        """Move along the gradients that have gathered."""
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, "Tensor"]:
        """Everything that a checkpoint must hold of it."""
        named = dict(self._head.named_parameters())
        head = {name: weights.detach() for name, weights in named.items()}
        return head | momenta(self._optimizer, named)

    def restore(self, state: Mapping[str, "Tensor"]) -> None:
        """Be as `state` was."""
        import torch

        named = dict(self._head.named_parameters())
        kept = dict(state)
        with torch.no_grad():
            for name in kept.keys() & named.keys():
                named[name].copy_(kept.pop(name))
        restore_momenta(self._optimizer, named, kept)


class PPO:
    """The algorithm at work on one policy, with its critic."""

    def __init__(self, policy: Policy, config: PPOConfig) -> None:
        """Choose the policy; the critic expects nothing yet."""
        self._policy = policy
        self._critic = Critic(policy)
        self.config = config

    def update(
        self, groups: Sequence[Group], rehearsed: "Rehearsed | None" = None
    ) -> dict[str, float | None]:
        """See `ppo_update`."""
        return ppo_update(self._policy, self._critic, groups, self.config, rehearsed)

    def state(self) -> dict[str, "Tensor"]:
        """The critic's."""
        return self._critic.state()

    def restore(self, state: Mapping[str, "Tensor"]) -> None:
        """Give the critic back what it was."""
        self._critic.restore(state)


@dataclass(frozen=True)
class _Learning:
    """The critic's part in one update."""

    critic: Critic
    config: PPOConfig

    def loss(self, row: Sequence[Part], hidden_SC: "Tensor", denominator: float) -> "Tensor":
        import torch

        from ml_agent.train.losses import clipped_value_loss

        expected = [part.expected for part in row if part.expected is not None]
        return clipped_value_loss(
            self.critic.values(hidden_SC),
            torch.cat([one.values_S for one in expected]),
            torch.cat([one.returns_S for one in expected]),
            clip=self.config.value_clip,
            denominator=denominator,
        )

    def step(self) -> None:
        self.critic.step(self.config.critic_lr)


def ppo_update(
    policy: Policy,
    critic: Critic,
    groups: Sequence[Group],
    config: PPOConfig,
    rehearsed: "Rehearsed | None" = None,
) -> dict[str, float | None]:
    """Move the policy towards actions that earned more than expected, and the critic's expectation.

    Returns:
        Figures of the update; None where no token was trained on.

    Raises:
        TrainingError: A completion has no log-probabilities, or numbers are not finite.
    """
    began = monotonic()
    tried = [(group, tokens_of(policy, group)) for group in groups if group.known]
    expected: list[Expected] = []
    advantages: list[Tensor] = []
    for group, tokens in tried:
        values_S = _values(policy, critic, tokens, config)
        advantages.append(_advantages(group, tokens, values_S, config))
        expected.append(Expected(values_S=values_S, returns_S=advantages[-1] + values_S))
    spread, mean = _moments(advantages)
    learned = []
    for (group, tokens), advantages_S, its in zip(tried, advantages, expected, strict=True):
        centred_S = advantages_S
        if config.whiten:
            # A floor on the spread, as verl has it: rounding is not to be blown up to an advantage.
            centred_S = (advantages_S - mean) / (spread**2 + 1e-8) ** 0.5
        learned.append(parts_of(policy, group, tokens, centred_S, config, its))
    beside = _Learning(critic, config)
    figures = move(policy, learned, config, beside=beside, rehearsed=rehearsed)
    return {
        **figures,
        "advantage_spread": spread,
        # A single action may teach something here: what was expected is compared with.
        "zero_spread_groups": None,
        **_foreseen(expected),
        **cost(policy, learned, began, config, rehearsed=rehearsed),
    }


def _values(policy: Policy, critic: Critic, tokens: "Tokens", config: PPOConfig) -> "Tensor":
    """[S] what the critic expects before every token of the completions."""
    import torch

    pieces = []
    with torch.no_grad():
        for part in parted_for(policy, tokens, config):
            _, hidden_SC = policy.token_outputs([part], temperature=config.temperature)
            pieces.append(critic.values(hidden_SC))
    return torch.cat(pieces)


def _advantages(group: Group, tokens: "Tokens", values_S: "Tensor", config: PPOConfig) -> "Tensor":
    import torch

    from ml_agent.train.losses import generalised_advantages

    lengths = [len(completion) for completion in tokens.completions]
    pieces = []
    for reward, values_L in zip(group.known.values(), torch.split(values_S, lengths), strict=True):
        rewards_L = torch.zeros_like(values_L)
        rewards_L[-1] = reward
        pieces.append(
            generalised_advantages(rewards_L, values_L, gamma=config.gamma, lam=config.lam)
        )
    return torch.cat(pieces)


def _moments(advantages: Sequence["Tensor"]) -> tuple[float, float]:
    """Standard deviation and mean over all tokens of an update."""
    import torch

    if not advantages:
        return 0.0, 0.0
    joined = torch.cat(list(advantages))
    return float(joined.std(correction=0)), float(joined.mean())


def _foreseen(expected: Sequence[Expected]) -> dict[str, float | None]:
    """What was expected before the update, and by how much that missed (root mean square)."""
    import torch

    if not expected:
        return {"value_mean": None, "value_error": None}
    values_S = torch.cat([one.values_S for one in expected])
    missed_S = torch.cat([one.returns_S for one in expected]) - values_S
    return {
        "value_mean": float(values_S.mean()),
        "value_error": float(missed_S.square().mean().sqrt()),
    }
