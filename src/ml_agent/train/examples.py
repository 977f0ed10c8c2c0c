"""What fine-tuning imitates: the steps of recorded trajectories, filtered by name.

The paper mentions no success filter, so `none` is its rule. An example is one step: exactly what
was seen, and what was answered.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ml_agent.core.errors import TrainingError
from ml_agent.core.records import End, Message, Task, Trajectory
from ml_agent.rewards import Case, case_of, relative_change

Filter = Literal["none", "successful-steps", "improving-steps"]
"""`none`: every step. `successful-steps`: no invalid action, error or limit. `improving-steps`:
of those, no edit that made the score worse."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One step to imitate."""

    task: str
    prompt: tuple[Message, ...]
    reply: str


def examples_from(
    trajectories: Iterable[Trajectory],
    tasks: Mapping[str, Task],
    *,
    keep: Filter = "none",
    at_most: int | None = None,
    seed: int = 0,
) -> list[Example]:
    """The steps worth imitating, each distinct one once, at most so many, evenly over tasks.

    Raises:
        TrainingError: Nothing is left to imitate.
    """
    by_task: dict[str, dict[tuple[tuple[Message, ...], str], Example]] = defaultdict(dict)
    for trajectory in trajectories:
        if trajectory.end in {None, End.BROKEN}:
            continue
        for t, step in enumerate(trajectory.steps):
            if _kept(tasks[trajectory.task], trajectory, t, keep):
                prompt, reply = trajectory.prompt_of(t), step.completion.text
                example = Example(task=trajectory.task, prompt=prompt, reply=reply)
                by_task[trajectory.task].setdefault((prompt, reply), example)
    if not by_task:
        raise TrainingError(
            f"no step is left to imitate after the filter {keep!r}. Collect more trajectories, or "
            "use the filter none."
        )
    return _evenly([list(found.values()) for _, found in sorted(by_task.items())], at_most, seed)


def _kept(task: Task, trajectory: Trajectory, t: int, keep: Filter) -> bool:
    if keep == "none":
        return True
    case = case_of(trajectory.steps[t])
    if case not in {Case.NEUTRAL, Case.EDIT}:
        return False
    if keep == "improving-steps" and case is Case.EDIT:
        return relative_change(task, trajectory, t) >= 0
    return True


def _evenly(groups: list[list[Example]], at_most: int | None, seed: int) -> list[Example]:
    """Take turns among the groups until there are enough, in a seeded order."""
    shuffler = random.Random(seed)
    for group in groups:
        shuffler.shuffle(group)
    total = sum(len(group) for group in groups)
    wanted = total if at_most is None else min(at_most, total)
    taken: list[Example] = []
    while len(taken) < wanted:
        for group in groups:
            if group and len(taken) < wanted:
                taken.append(group.pop())
    shuffler.shuffle(taken)
    return taken
