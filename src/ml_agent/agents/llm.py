"""A language model as an agent: its reply is read by the one grammar of `core.replies`."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ml_agent.agents.contract import Reply
from ml_agent.core.errors import ModelError
from ml_agent.core.records import Completion, Message
from ml_agent.core.replies import parse_reply
from ml_agent.models.contract import Model, Sampling

if TYPE_CHECKING:
    from ml_agent.models.http import HttpModel


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

    def act(
        self, histories: Sequence[Sequence[Message]], *, seeds: Sequence[int]
    ) -> Sequence[Reply | ModelError]:
        """One reply for each history, each drawn by its own seed."""
        return [replies[0] for replies in self.propose(histories, samples=1, seed=seeds)]

    def propose(
        self, histories: Sequence[Sequence[Message]], *, samples: int, seed: int | Sequence[int]
    ) -> list[list[Reply]]:
        """Several independent replies for each history: the actions of step-wise training."""
        sampling = replace(self._sampling, samples=samples)
        answered = self._model.sample(histories, sampling, seed=seed)
        return [[_read(completion, self._offered) for completion in group] for group in answered]


class EndpointAgent:
    """Asks a model that answers every attempt by itself: what one is told depends on no other.

    So an attempt that is played again, with whatever others beside it, asks what it asked before,
    and a cache of answers knows them.
    """

    def __init__(self, model: "HttpModel", *, offered: Collection[str], sampling: Sampling) -> None:
        """Let `model` decide among the actions on offer."""
        self._model = model
        self._offered = tuple(offered)
        self._sampling = replace(sampling, samples=1)

    @property
    def policy(self) -> str:
        """The model's name at its endpoint."""
        return self._model.policy

    def act(
        self, histories: Sequence[Sequence[Message]], *, seeds: Sequence[int]
    ) -> Sequence[Reply | ModelError]:
        """One reply for each history; see `Agent`.

        Raises:
            EndsRun: The endpoint's budget is spent, or it refuses us.
        """
        answered = self._model.sample_each(histories, self._sampling, seeds=seeds)
        return [
            one if isinstance(one, ModelError) else _read(one, self._offered) for one in answered
        ]


def _read(completion: Completion, offered: Collection[str]) -> Reply:
    parsed = parse_reply(completion.text, offered)
    return Reply(completion=completion, action=parsed.action, invalid=parsed.invalid)
