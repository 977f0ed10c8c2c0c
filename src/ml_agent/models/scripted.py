"""A model that says what it was told to say: for tests, examples and dry runs."""

from collections.abc import Sequence

from ml_agent.core.errors import ModelError
from ml_agent.core.records import Completion, Message
from ml_agent.models.contract import Sampling


class ScriptedModel:
    """Answers with given replies, in order, sample by sample and prompt by prompt.

    Attributes:
        prompts: Every prompt that was asked, in order.
    """

    def __init__(self, replies: Sequence[str], *, policy: str = "scripted") -> None:
        """Hold the replies.

        Args:
            replies: What to say, one each for every sample of every prompt.
            policy: The name that stands in records.
        """
        self.policy = policy
        self.prompts: list[tuple[Message, ...]] = []
        self._replies = list(replies)
        self._said = 0

    def sample(
        self,
        prompts: Sequence[Sequence[Message]],
        sampling: Sampling,
        *,
        seed: int | Sequence[int],
    ) -> list[list[Completion]]:
        """See `Model`.

        Raises:
            ModelError: There are no replies left.
        """
        self.prompts += [tuple(prompt) for prompt in prompts]
        return [[self._next() for _ in range(sampling.samples)] for _ in prompts]

    def _next(self) -> Completion:
        if self._said == len(self._replies):
            raise ModelError(f"all {self._said} scripted replies were said already")
        self._said += 1
        return Completion(text=self._replies[self._said - 1], policy=self.policy)
