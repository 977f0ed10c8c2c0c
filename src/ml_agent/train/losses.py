"""The losses, as pure functions of tensors.

Shapes: B states, G actions a state, S scored tokens of many completions one after another.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


def group_advantages(rewards_BG: Tensor) -> Tensor:
    """Centre each state's rewards on their mean: A_bg = r_bg - mean_g(r_bg).

    Not divided by the standard deviation, which would give most weight to states where every
    action does about as well (Liu et al. 2025, arXiv:2503.20783).

    Args:
        rewards_BG: [B, G] rewards; NaN marks an action whose reward is unknown.

    Returns:
        [B, G] advantages; zero where the reward is NaN, so it has no gradient.
    """
    known_BG = ~rewards_BG.isnan()
    counted_B1 = known_BG.sum(dim=1, keepdim=True).clamp(min=1)
    mean_B1 = rewards_BG.nan_to_num(0.0).sum(dim=1, keepdim=True) / counted_B1
    return torch.where(known_BG, rewards_BG - mean_B1, 0.0)


@dataclass(frozen=True, kw_only=True)
class Surrogate:
    """The clipped objective and what it looked like."""

    loss: Tensor
    """To be minimised; scalar."""
    ratio_S: Tensor
    """pi / pi_old, without gradient."""
    clipped_S: Tensor
    """True where the bound was active: the token has no gradient."""


def clipped_surrogate(
    logprobs_S: Tensor,
    old_logprobs_S: Tensor,
    advantages_S: Tensor,
    *,
    eps_low: float,
    eps_high: float,
    denominator: float,
) -> Surrogate:
    """Token-level PPO: -sum_i min(rho_i A_i, clip(rho_i, 1 - low, 1 + high) A_i) / denominator.

    Divided by one number for the whole batch, not by each completion's length, so that a token
    weighs the same in a long answer as in a short one (DAPO, arXiv:2503.14476, eq. 8).

    Args:
        logprobs_S: Under the policy, with gradient.
        old_logprobs_S: At sampling time.
        advantages_S: Of the completion that each token stands in.
        eps_low: How far the ratio may fall below 1.
        eps_high: How far it may rise above 1.
        denominator: Scored tokens of the whole batch, over all rows it is computed in.
    """
    ratio_S = (logprobs_S - old_logprobs_S).exp()
    free_S = ratio_S * advantages_S
    bound_S = ratio_S.clamp(1 - eps_low, 1 + eps_high) * advantages_S
    loss = -torch.minimum(free_S, bound_S).sum() / denominator
    return Surrogate(loss=loss, ratio_S=ratio_S.detach(), clipped_S=bound_S < free_S)


def k3_divergence(logprobs_S: Tensor, reference_S: Tensor) -> Tensor:
    """Per token, the low-variance estimate of KL(pi || reference): e^d - d - 1, d = ref - pi.

    Unbiased for tokens sampled from pi, never negative (Schulman 2020, "Approximating KL"). That is
    said of its value: taken as a loss, as GRPO does (arXiv:2402.03300, eq. 4), its gradient is in
    the mean that of KL(reference || pi). Both hold pi to the reference and vanish there.
    """
    difference_S = reference_S - logprobs_S
    return difference_S.exp() - difference_S - 1


def generalised_advantages(
    rewards_L: Tensor, values_L: Tensor, *, gamma: float, lam: float
) -> Tensor:
    """A_t = sum_l (gamma lam)^l d_{t+l} with d_t = r_t + gamma V_{t+1} - V_t (arXiv:1506.02438).

    Args:
        rewards_L: After each token of one completion.
        values_L: Expected before each; after the last one nothing is.
        gamma: Discount.
        lam: How far the critic is mistrusted; at 1 the advantage is the return less the value.
    """
    advantages_L = torch.empty_like(values_L)
    following = torch.zeros((), device=values_L.device)
    value_after = torch.zeros((), device=values_L.device)
    for t in reversed(range(len(values_L))):
        surprise = rewards_L[t] + gamma * value_after - values_L[t]
        following = surprise + gamma * lam * following
        advantages_L[t], value_after = following, values_L[t]
    return advantages_L


def clipped_value_loss(
    values_S: Tensor, old_values_S: Tensor, returns_S: Tensor, *, clip: float, denominator: float
) -> Tensor:
    """sum_i max((V_i - R_i)^2, (clip(V_i, old_i - c, old_i + c) - R_i)^2) / 2 / denominator."""
    near_S = old_values_S + (values_S - old_values_S).clamp(-clip, clip)
    worse_S = torch.maximum((values_S - returns_S).square(), (near_S - returns_S).square())
    return worse_S.sum() / 2 / denominator


def negative_log_likelihood(logprobs_S: Tensor, *, denominator: float) -> Tensor:
    """-sum_i log pi(token_i) / denominator, over the tokens of completions only."""
    return -logprobs_S.sum() / denominator
