"""A language model as an agent: its reply is read by the one grammar of `core.replies`."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from ml_agent.agents.contract import Reply
from ml_agent.core.records import Completion, Message
from ml_agent.core.replies import parse_reply
from ml_agent.models.contract import Model, Sampling


class LLMAgent:
    """Asks a model and reads the action from what it says."""

    def __init__(self, model: Model, *, offered: Collection[str], sampling: Sampling) -> None:
        """Let `model` decide among the actions on offer."""
        self._model = model
        self._offered = tuple(offered)
        self._sampling = replace(sampling, samples=1)

    @property
    def policy(self) -> str:
        """The model's weights by name."""
        return self._model.policy

    def act(self, histories: Sequence[Sequence[Message]], *, seed: int) -> list[Reply]:
        """One reply for each history."""
        return [replies[0] for replies in self.propose(histories, samples=1, seed=seed)]

    def propose(
        self, histories: Sequence[Sequence[Message]], *, samples: int, seed: int
    ) -> list[list[Reply]]:
        """Several independent replies for each history: the actions of step-wise training."""
        sampling = replace(self._sampling, samples=samples)
        answered = self._model.sample(histories, sampling, seed=seed)
        return [[self._read(completion) for completion in group] for group in answered]

    def _read(self, completion: Completion) -> Reply:
        parsed = parse_reply(completion.text, self._offered)
        return Reply(completion=completion, action=parsed.action, invalid=parsed.invalid)
