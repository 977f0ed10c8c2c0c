"""Continue a conversation: `scripted` replies, a `local` network, or an endpoint (`http`).

`serving` lets other programs ask one. Only the light names are here; `models.local`,
`models.embedded` and `models.encoder` load torch.
"""

from ml_agent.models.contract import Model, Sampling
from ml_agent.models.scripted import ScriptedModel

__all__ = ["Model", "Sampling", "ScriptedModel"]
