"""Rehearsal: what was imitated is learned from again, beside what is practised.

    L = L_practice - w E_{(s, a) ~ imitated}[ mean_t log pi(a_t | s, a_<t) ]

PPO-ptx (InstructGPT, arXiv:2203.02155) with fine-tuning's examples in place of pretraining's text.
One set of weights acts in all states, and an update sees a few of them: what pays in some tasks is
soon done in all, where nothing holds the others to what they were.
"""

import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ml_agent.core.base import Record
from ml_agent.core.errors import TrainingError
from ml_agent.store import read_record
from ml_agent.train.checkpoints import IMITATED
from ml_agent.train.examples import Example
from ml_agent.train.policy import Policy
from ml_agent.train.sft import ROW_TOKENS, add_gradient

if TYPE_CHECKING:
    from ml_agent.train.packing import Tokens


class Imitated(Record):
    """What a policy was fine-tuned on; stands in its checkpoint."""

    examples: tuple[Example, ...]

    @staticmethod
    def read(checkpoint: Path) -> "Imitated":
        """What the policy of a checkpoint has imitated.

        Raises:
            TrainingError: It does not say, or there is nothing.
            StoreError: What it says is damaged.
        """
        path = checkpoint / IMITATED
        if not path.exists():
            raise TrainingError(
                f"{checkpoint} does not say what it has imitated, so that it cannot be rehearsed. "
                "Take a run's fine-tuned or last practised policy, or set rl.rehearse=0."
            )
        found = read_record(path, Imitated, remedy="Fine-tune again, or set rl.rehearse=0.")
        if not found.examples:
            raise TrainingError(f"{path} holds no example to rehearse. Set rl.rehearse=0.")
        return found


@dataclass(frozen=True)
class Rehearsed:
    """The examples of one update."""

    policy: Policy
    groups: "tuple[Tokens, ...]"
    weight: float
    row_tokens: int

    @property
    def computed(self) -> int:
        """Tokens that one pass over them computes."""
        return sum(map(self.policy.computed, self.groups))

    def add_gradient(self) -> float:
        """Add their part of the gradient; returns their loss a token, before the weight."""
        return add_gradient(
            self.policy, self.groups, row_tokens=self.row_tokens, weight=self.weight
        )


class Rehearsal:
    """Examples, a few for each update, tasks in turn."""

    def __init__(
        self,
        policy: Policy,
        imitated: Imitated,
        *,
        count: int,
        weight: float,
        seed: int,
        row_tokens: int = ROW_TOKENS,
    ) -> None:
        """Put the examples in an order.

        Args:
            policy: What learns.
            imitated: What it has imitated.
            count: How many an update learns from.
            weight: Of their mean loss a token beside that of practice (w).
            seed: Of the order.
            row_tokens: Tokens computed together; changes no result.
        """
        self.imitated = imitated
        by_task: dict[str, list[Example]] = defaultdict(list)
        for one in random.Random(seed).sample(imitated.examples, len(imitated.examples)):
            by_task[one.task].append(one)
        self._policy = policy
        self._by_task = [found for _, found in sorted(by_task.items())]
        self._count = count
        self._weight = weight
        self._row_tokens = row_tokens

    def of_update(self, update: int) -> Rehearsed:
        """What an update, counted from 1, learns from; the same however often it is asked for."""
        from ml_agent.train.packing import Tokens

        first = (update - 1) * self._count
        chosen = [self._at(first + place) for place in range(self._count)]
        chat = self._policy.chat
        groups = tuple(
            Tokens(
                prompt=chat.prompt_ids(one.prompt), completions=(chat.completion_ids(one.reply),)
            )
            for one in chosen
        )
        return Rehearsed(self._policy, groups, self._weight, self._row_tokens)

    def _at(self, place: int) -> Example:
        """Every task has its turn, also when all of its examples have been taken once."""
        taken, task = divmod(place, len(self._by_task))
        examples = self._by_task[task]
        return examples[taken % len(examples)]
