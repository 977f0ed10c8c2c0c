"""The pool of recorded states that step-wise training practises on.

Drawn stratified over tasks and step indices: every task gets its turn, and within it every place
in a trajectory, so that neither long trajectories nor first steps dominate. A prompt that many
trajectories have, as they have the first, stands for one state. States whose script is broken stay
in: that is where debugging is learned. By option,

- turns are weighted by learnability: places whose actions all earn the same teach nothing, and get
  fewer (after AceGRPO, arXiv:2602.07906, with the rewards' standard deviation as the measure);
- the pool evolves: states that the policy itself has reached are added, and drawn before others of
  their task and step;
- some tasks together get half of the turns, however few they are among the others.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from statistics import fmean, pstdev
from typing import TypeVar

from ml_agent.core.errors import TrainingError
from ml_agent.core.records import Message, Trajectory
from ml_agent.runtime import State

_K = TypeVar("_K", bound=Hashable)
_Place = tuple[str, int]
"""A task and a step index."""

_SPREAD = 0.5
"""The spread a place is taken to have before it was tried: the most of rewards in [0, 1]."""
_LEAST = 0.1
"""No place is given up: what teaches nothing now may later."""


class Pool:
    """States by task and step index, drawn without putting back until a stratum is used up."""

    def __init__(
        self,
        trajectories: Iterable[Trajectory],
        *,
        seed: int,
        first_steps: int | None = None,
        learnability: bool = False,
        half: Collection[str] = (),
    ) -> None:
        """Make a state of every prompt of every attempt that did not break.

        Args:
            trajectories: Where the states come from.
            seed: Of the draws.
            first_steps: Only states with fewer steps than this behind them; None: all. Those that
                are added later may have any number.
            learnability: Give more turns to places whose actions differ in what they earn.
            half: Tasks that get half of all turns; empty: every task gets its turn alike.

        Raises:
            TrainingError: There is no state at all.
        """
        self._strata: dict[str, dict[int, list[State]]] = defaultdict(lambda: defaultdict(list))
        self._seen: set[tuple[_Place, tuple[Message, ...]]] = set()
        self._left: dict[_Place, list[State]] = {}
        self._reached: dict[_Place, list[State]] = defaultdict(list)
        for state in self._new(trajectories, first_steps):
            self._strata[state.trajectory.task][state.t].append(state)
        if not self._strata:
            raise TrainingError(
                "the pool of states is empty: no finished trajectory was collected. "
                "Run `ml-agent collect` for this run first."
            )
        self._random = random.Random(seed)
        self._learnability = learnability
        chosen = sum(task in half for task in self._strata)
        others = len(self._strata) - chosen
        self._weights = dict.fromkeys(half, others / chosen) if chosen and others else {}
        self._spreads: dict[_Place, list[float]] = defaultdict(list)
        self._drawn_tasks: Counter[str] = Counter()
        self._drawn_steps: Counter[_Place] = Counter()

    def __len__(self) -> int:
        """How many states there are."""
        return sum(len(states) for steps in self._strata.values() for states in steps.values())

    def add(self, trajectories: Iterable[Trajectory]) -> None:
        """Add the states of further attempts that are new; they come next in their strata.

        Args:
            trajectories: Unfinished and broken ones are passed over.
        """
        for state in self._new(trajectories):
            task, place = state.trajectory.task, (state.trajectory.task, state.t)
            if known := [self._drawn_steps[one] for one in self._places(task)]:
                # A new place takes its turn among the old ones: it has none to catch up with.
                self._drawn_steps.setdefault(place, min(known))
            self._strata[task][state.t].append(state)
            self._reached[place].append(state)

    def _new(
        self, trajectories: Iterable[Trajectory], first_steps: int | None = None
    ) -> Iterator[State]:
        for trajectory in trajectories:
            if not trajectory.whole:
                continue
            for t in range(len(trajectory.steps))[:first_steps]:
                state, place = State(trajectory, t), (trajectory.task, t)
                if (place, state.prompt) not in self._seen:
                    self._seen.add((place, state.prompt))
                    yield state

    def learn(self, states: Sequence[State], rewards: Sequence[Sequence[float | None]]) -> None:
        """Note what the actions of states that were drawn earned.

        Args:
            states: As drawn.
            rewards: Of the actions in each; None: unknown.
        """
        for state, earned in zip(states, rewards, strict=True):
            known = [reward for reward in earned if reward is not None]
            if len(known) > 1:
                self._spreads[state.trajectory.task, state.t].append(pstdev(known))

    def draw(self, count: int) -> list[State]:
        """The next `count` states; the same seed draws the same sequence."""
        return [self._draw_one() for _ in range(count)]

    def _draw_one(self) -> State:
        task = self._rarest(sorted(self._strata), self._drawn_tasks, self._worth_of_task)
        place = self._rarest(self._places(task), self._drawn_steps, self._worth)
        self._drawn_tasks[task] += 1
        self._drawn_steps[place] += 1
        if self._reached[place]:
            return self._reached[place].pop()
        left = self._left.get(place)
        if not left:
            left = list(self._strata[task][place[1]])
            self._random.shuffle(left)
            self._left[place] = left
        return left.pop()

    def _places(self, task: str) -> list[_Place]:
        return [(task, t) for t in sorted(self._strata[task])]

    def _rarest(self, keys: list[_K], drawn: Counter[_K], worth: Callable[[_K], float]) -> _K:
        """Whose turn it is: the one drawn least often for what it is worth."""
        turns = {key: drawn[key] / worth(key) for key in keys}
        fewest = min(turns.values())
        return self._random.choice([key for key in keys if turns[key] == fewest])

    def _worth(self, place: _Place) -> float:
        if not self._learnability:
            return 1.0
        return max(_LEAST, fmean([_SPREAD, *self._spreads[place]]) / _SPREAD)

    def _worth_of_task(self, task: str) -> float:
        return self._weights.get(task, 1.0) * fmean(map(self._worth, self._places(task)))
