"""The pool of recorded states that step-wise training practises on.

Drawn stratified over tasks and step indices: every task gets its turn, and within it every place
in a trajectory, so that neither long trajectories nor first steps dominate. States whose script is
broken stay in: that is where debugging is learned.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from typing import TypeVar

from ml_agent.core.errors import TrainingError
from ml_agent.core.records import End, Trajectory
from ml_agent.runtime import State

_K = TypeVar("_K", bound=Hashable)


class Pool:
    """States by task and step index, drawn without putting back until a stratum is used up."""

    def __init__(
        self, trajectories: Iterable[Trajectory], *, seed: int, first_steps: int | None = None
    ) -> None:
        """Make a state of every recorded step of every attempt that did not break.

        Args:
            trajectories: Where the states come from.
            seed: Of the draws.
            first_steps: Only states with fewer steps than this behind them; None: all.

        Raises:
            TrainingError: There is no state at all.
        """
        self._strata: dict[str, dict[int, list[State]]] = defaultdict(lambda: defaultdict(list))
        for trajectory in trajectories:
            if trajectory.end in {None, End.BROKEN}:
                continue
            for t in range(len(trajectory.steps))[:first_steps]:
                self._strata[trajectory.task][t].append(State(trajectory, t))
        if not self._strata:
            raise TrainingError(
                "the pool of states is empty: no finished trajectory was collected. "
                "Run `ml-agent collect` for this run first."
            )
        self._random = random.Random(seed)
        self._left: dict[tuple[str, int], list[State]] = {}
        self._drawn_tasks: Counter[str] = Counter()
        self._drawn_steps: Counter[tuple[str, int]] = Counter()

    def __len__(self) -> int:
        """How many states there are."""
        return sum(len(states) for steps in self._strata.values() for states in steps.values())

    def draw(self, count: int) -> list[State]:
        """The next `count` states; the same seed draws the same sequence."""
        return [self._draw_one() for _ in range(count)]

    def _draw_one(self) -> State:
        task = self._rarest(sorted(self._strata), self._drawn_tasks)
        places = [(task, t) for t in sorted(self._strata[task])]
        place = self._rarest(places, self._drawn_steps)
        self._drawn_tasks[task] += 1
        self._drawn_steps[place] += 1
        left = self._left.get(place)
        if not left:
            left = list(self._strata[task][place[1]])
            self._random.shuffle(left)
            self._left[place] = left
        return left.pop()

    def _rarest(self, keys: list[_K], drawn: Counter[_K]) -> _K:
        fewest = min(drawn[key] for key in keys)
        return self._random.choice([key for key in keys if drawn[key] == fewest])
