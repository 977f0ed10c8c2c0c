"""The contract every model keeps: continue conversations, many at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ml_agent.core.records import Completion, Message


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How to sample. Equal settings and seed give equal completions on one machine."""

    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    max_tokens: int = 192
    samples: int = 1
    """Completions per prompt; the prompt is computed once for all of them."""


class Model(Protocol):
    """Something that answers. Stateless between calls."""

    @property
    def policy(self) -> str:
        """Which weights answer; stands in every record made with them."""
        ...

    def sample(
        self,
        prompts: Sequence[Sequence[Message]],
        sampling: Sampling,
        *,
        seed: int | Sequence[int],
    ) -> list[list[Completion]]:
        """Answer every prompt `sampling.samples` times, in the prompts' order.

        Args:
            prompts: Conversations that end with what is to be answered.
            sampling: How.
            seed: One for each prompt, so that no answer depends on the other prompts; or a single
                number, of which each place is given one of its own.

        Raises:
            ModelError: The call failed. A bad answer is not a failure.
        """
        ...
