"""Activation checkpointing: layers forget what the way back needs, and compute it again there.

What is kept is then the input of every layer. It costs one more computation forwards; values and
gradients stay what they are (arXiv:1604.06174).
"""

from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from ml_agent.core.errors import ModelError


class Recomputed:
    """A layer that does so wherever a gradient is asked for."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the layer computes."""
        forward = super().forward  # type: ignore[misc]
        if not torch.is_grad_enabled():
            return forward(*args, **kwargs)
        return checkpoint(forward, *args, use_reentrant=False, preserve_rng_state=False, **kwargs)


def recompute_layers(network: Any) -> None:
    """Have all layers of a network do so from now on.

    Not by the network's own switch: it heeds that in training mode alone, with dropout on.

    Args:
        network: A Hugging Face model.

    Raises:
        ModelError: It does not tell which of its parts are layers.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    layers = [one for one in network.modules() if isinstance(one, GradientCheckpointingLayer)]
    if not layers:
        raise ModelError(
            f"{type(network).__name__} has no layers that could be computed again. Set "
            "gradient_checkpointing=false"
        )
    made = {kind: type(kind.__name__, (Recomputed, kind), {}) for kind in map(type, layers)}
    for layer in layers:
        layer.__class__ = made[type(layer)]
