"""Failed steps among what a run has recorded, each distinct one once, ready to be gone on from."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TypeVar

from ml_agent.core.actions import EDITS, ExecuteScript
from ml_agent.core.records import Step, Task, Trajectory
from ml_agent.runtime import State
from ml_agent.store import Sample
from ml_agent.train.marks import Mark, mark_of, marked

_T = TypeVar("_T")

ERROR = "error"
"""`Step.role` of the step that a trajectory of reflection corrects."""


@dataclass(frozen=True)
class Failure:
    """A recorded attempt up to a step that was an error, and what was wrong with that."""

    past: Trajectory
    """Its last step is the error; its messages are those seen until then."""
    mark: Mark

    @property
    def step(self) -> Step:
        """The error."""
        return self.past.steps[-1]

    @property
    def unseen(self) -> bool:
        """Whether the agent has not been told yet what it did."""
        return self.step.action is not None and self.step.action.kind in EDITS

    @property
    def id(self) -> str:
        """What names its reflection: the same error in the same place is one, whoever made it."""
        seen = [[one.role, one.text] for one in self.past.prompt_of(len(self.past.steps) - 1)]
        told = json.dumps([self.past.task, seen, self.step.completion.text])
        return sha256(told.encode()).hexdigest()[:32]


def failures_in(trajectories: Iterable[Trajectory], tasks: Mapping[str, Task]) -> Iterator[Failure]:
    """Every failed step of recorded attempts that came to an end of their own.

    A run that shows what an edit did wrong is no error beside that edit. A step that a judge found
    good (`step_ok`) is none either.

    Args:
        trajectories: What was recorded; broken and cut-off attempts are passed over.
        tasks: Theirs by id.
    """
    for one in trajectories:
        if not one.whole:
            continue
        task = tasks[one.task]
        for t in range(len(one.steps)):
            if (found := _failure(task, one, t)) is not None:
                yield found


def failed_samples(
    samples: Iterable[Sample], recorded: Callable[[str], Trajectory], tasks: Mapping[str, Task]
) -> Iterator[Failure]:
    """Every failed action of practice, after the recorded steps it was taken behind.

    Args:
        samples: What was practised.
        recorded: A trajectory by its id.
        tasks: Theirs by id.
    """
    remembered = lru_cache(maxsize=64)(recorded)
    for one in samples:
        if one.failure is None:
            state = State(remembered(one.trajectory), one.t)
            found = _failure(tasks[state.trajectory.task], state.followed_by(one.step), one.t)
            if found is not None:
                yield found


def distinct(failures: Iterable[Failure], *, at_most: int | None = None) -> list[Failure]:
    """Each failure once, evenly over tasks and over what was wrong.

    The same step may have ended in two ways, as where it met a limit once: the first one counts.

    Args:
        failures: Any; those that come first stay first among their like.
        at_most: How many; None: all.
    """
    by_kind: dict[tuple[str, Mark], list[Failure]] = defaultdict(list)
    known: set[str] = set()
    for one in failures:
        if one.id not in known:
            known.add(one.id)
            by_kind[one.past.task, one.mark].append(one)
    return in_turn([found for _, found in sorted(by_kind.items())])[:at_most]


def in_turn(groups: Sequence[Sequence[_T]]) -> list[_T]:
    """The first of every group, then the second of every one, and so on."""
    rounds = range(max(map(len, groups), default=0))
    return [group[place] for place in rounds for group in groups if place < len(group)]


def _failure(task: Task, trajectory: Trajectory, t: int) -> Failure | None:
    mark, step = mark_of(task, trajectory, t), trajectory.steps[t]
    if mark is None or step.step_ok or _only_shows(task, trajectory, t):
        return None
    before = marked(task, trajectory).steps[:t]
    error = {"step_ok": False, "role": ERROR, "parent": trajectory.id, "branch": t}
    seen = max(step.prompt, default=-1) + 1
    past = trajectory.model_copy(
        update={
            "steps": (*before, step.model_copy(update=error)),
            "messages": trajectory.messages[:seen],
            "end": None,
        }
    )
    return Failure(past, mark)


def _only_shows(task: Task, trajectory: Trajectory, t: int) -> bool:
    """Whether step `t` is a run, and the edit before it was the error."""
    if not isinstance(trajectory.steps[t].action, ExecuteScript):
        return False
    actions = [step.action for step in trajectory.steps[:t]]
    edits = [place for place, one in enumerate(actions) if one and one.kind in EDITS]
    return bool(edits) and mark_of(task, trajectory, edits[-1]) is not None
