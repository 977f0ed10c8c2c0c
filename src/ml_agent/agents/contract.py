"""The contract every agent keeps: look at what happened, choose the next action."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ml_agent.core.actions import Action
from ml_agent.core.errors import ModelError
from ml_agent.core.records import Completion, Message


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What an agent answered, and the action read from it."""

    completion: Completion
    action: Action | None
    invalid: str | None = None
    """Why there is no action."""


class Agent(Protocol):
    """Who decides. Stateless between calls: all it knows is in the history.

    Many histories a call, because a local model answers 24 of them in little more time than one.
    """

    @property
    def policy(self) -> str:
        """Name and version, as recorded with every trajectory."""
        ...

    def act(
        self, histories: Sequence[Sequence[Message]], *, seeds: Sequence[int]
    ) -> Sequence[Reply | ModelError]:
        """Choose the next action in each of several attempts.

        Args:
            histories: What each attempt sees.
            seeds: One for each: what is chosen in one does not depend on the others.

        Returns:
            In the same order; an error where the policy could not be asked in that attempt alone.

        Raises:
            ModelError: The policy could not be asked. A reply without an action is not that.
        """
        ...
