"""Rehearsal: what was imitated is learned from again, beside what is practised.

    L = L_practice - w E_{(s, a) ~ imitated}[ mean_t log pi(a_t | s, a_<t) ]

PPO-ptx (InstructGPT, arXiv:2203.02155) with fine-tuning's examples in place of pretraining's text.
One set of weights acts in all states, and an update sees a few of them: what pays in some tasks is
soon done in all, where nothing holds the others to what they were.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml_agent.train.examples import Example
from ml_agent.train.failures import in_turn
from ml_agent.train.policy import Policy
from ml_agent.train.sft import add_gradient

if TYPE_CHECKING:
    from ml_agent.train.packing import Tokens


@dataclass(frozen=True)
class Lesson:
    """The examples of one update."""

    policy: Policy
    groups: "tuple[Tokens, ...]"
    weight: float

    def add_gradient(self) -> float:
        """Add their part of the gradient; returns their loss a token, before the weight."""
        return add_gradient(self.policy, self.groups, weight=self.weight)


class Rehearsal:
    """Examples, a few for each update, tasks in turn."""

    def __init__(
        self,
        policy: Policy,
        examples: Sequence[Example],
        *,
        count: int,
        weight: float,
        seed: int,
    ) -> None:
        """Put the examples in an order.

        Args:
            policy: What learns.
            examples: What it has imitated.
            count: How many an update learns from.
            weight: Of their mean loss a token beside that of practice (w).
            seed: Of the order.
        """
        by_task: dict[str, list[Example]] = defaultdict(list)
        for one in random.Random(seed).sample(examples, len(examples)):
            by_task[one.task].append(one)
        self._policy = policy
        self._order = in_turn([found for _, found in sorted(by_task.items())])
        self._count = count
        self._weight = weight

    def lesson(self, update: int) -> Lesson:
        """What an update, counted from 1, learns from; the same however often it is asked for."""
        from ml_agent.train.packing import Tokens

        first = (update - 1) * self._count
        chosen = [self._order[(first + place) % len(self._order)] for place in range(self._count)]
        chat = self._policy.chat
        groups = [
            Tokens(
                prompt=chat.prompt_ids(one.prompt), completions=(chat.completion_ids(one.reply),)
            )
            for one in chosen
        ]
        return Lesson(self._policy, tuple(groups), self._weight)
