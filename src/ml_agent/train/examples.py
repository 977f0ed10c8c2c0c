"""What fine-tuning imitates: the steps of recorded trajectories, filtered by name.

The paper mentions no success filter, so `none` is its rule. An example is one step: exactly what
was seen, and what was answered. A step that was judged an error (`train.marks`) is none, whatever
the filter and wherever it was recorded, and stands in the prompts of later ones.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Literal

from ml_agent.core.base import Record
from ml_agent.core.errors import TrainingError
from ml_agent.core.records import Message, Task, Trajectory
from ml_agent.rewards import Case, case_of, relative_change

Filter = Literal["none", "successful-steps", "improving-steps", "improving-edits"]
"""`none`: every step. `successful-steps`: no invalid action, error or limit. `improving-steps`:
of those, no edit that made the score worse. `improving-edits`: only edits that made it better."""

_NOTICEABLE = 0.01
"""Share of the way to the reference; less is noise, not an improvement."""


class Example(Record):
    """One step to imitate."""

    task: str
    prompt: tuple[Message, ...]
    reply: str


_Worth = tuple[float, Example]
"""How much an answer helped, and the answer."""


def examples_from(
    trajectories: Iterable[Trajectory],
    tasks: Mapping[str, Task],
    *,
    keep: Filter = "none",
    longest: int | None = None,
    states_at_most: int | None = None,
    answers_at_most: int | None = None,
    seed: int = 0,
) -> list[Example]:
    """The steps worth imitating, each distinct one once.

    Args:
        trajectories: What was recorded; broken and cut-off attempts are passed over.
        tasks: By id; needed by the filters that compare scores alone.
        keep: Which steps.
        longest: Characters an answer may have; longer ones are passed over, for a small model that
            imitates them loses its way in its own. None: any number.
        states_at_most: How many different prompts there may be, evenly over tasks, those with most
            answers first: all answers to one prompt are imitated for the cost of little more
            than one. None: all.
        answers_at_most: How many answers to one prompt, the edits that helped most first, so that
            the best ideas are imitated, and a task on which much helps no more than others. None:
            all.
        seed: Of the choice among prompts with equally many answers, and among equally good answers.

    Raises:
        TrainingError: Nothing is left to imitate.
    """
    by_task: dict[str, dict[tuple[Message, ...], dict[str, _Worth]]] = defaultdict(dict)
    errors: list[tuple[str, tuple[Message, ...], str]] = []
    finished = False
    for trajectory in trajectories:
        if not trajectory.whole:
            continue
        finished = True
        for t, step in enumerate(trajectory.steps):
            if step.step_ok is False:
                errors.append((trajectory.task, trajectory.prompt_of(t), step.completion.text))
                continue
            too_long = longest is not None and len(step.completion.text) > longest
            if not too_long and is_kept(tasks, trajectory, t, keep):
                prompt, reply = trajectory.prompt_of(t), step.completion.text
                answers = by_task[trajectory.task].setdefault(prompt, {})
                example = Example(task=trajectory.task, prompt=prompt, reply=reply)
                answers.setdefault(reply, (_helped(tasks, trajectory, t), example))
    if not finished:
        raise TrainingError(
            "there is nothing to learn from: no finished trajectory was collected. "
            "Run `ml-agent collect` for this run first."
        )
    # Also where the same was recorded and nobody has judged it.
    for task, prompt, reply in errors:
        by_task.get(task, {}).get(prompt, {}).pop(reply, None)
    states = [
        [list(answers.values()) for answers in found.values() if answers]
        for _, found in sorted(by_task.items())
    ]
    if not any(states):
        raise TrainingError(
            f"no step is left to imitate after the filter {keep!r}. Collect more trajectories, or "
            "use the filter none."
        )
    chosen = _evenly(states, states_at_most, seed)
    shuffler = random.Random(seed)
    for state in chosen:
        if answers_at_most is not None and len(state) > answers_at_most:
            shuffler.shuffle(state)
            state.sort(key=lambda answer: -answer[0])
            del state[answers_at_most:]
    return [example for state in chosen for _, example in state]


def improved(task: Task, trajectory: Trajectory, t: int) -> bool:
    """Whether step `t` is an edit after which the score was better, by more than noise."""
    is_edit = case_of(trajectory.steps[t]) is Case.EDIT
    return is_edit and relative_change(task, trajectory, t) > _NOTICEABLE


def is_kept(tasks: Mapping[str, Task], trajectory: Trajectory, t: int, keep: Filter) -> bool:
    """Whether a filter keeps step `t`.

    Args:
        tasks: By id; needed by the filters that compare scores alone.
        trajectory: Whose step.
        t: Which.
        keep: The filter.
    """
    if keep == "none":
        return True
    if keep == "improving-edits":
        return improved(tasks[trajectory.task], trajectory, t)
    case = case_of(trajectory.steps[t])
    if case is Case.EDIT and keep == "improving-steps":
        return relative_change(tasks[trajectory.task], trajectory, t) >= 0
    return case in {Case.EDIT, Case.NEUTRAL}


def _helped(tasks: Mapping[str, Task], trajectory: Trajectory, t: int) -> float:
    """How far an edit moved the score towards the reference; 0 for what is no edit that ran."""
    task = tasks.get(trajectory.task)
    if task is None or case_of(trajectory.steps[t]) is not Case.EDIT:
        return 0.0
    return relative_change(task, trajectory, t)


def _evenly(groups: list[list[list[_Worth]]], at_most: int | None, seed: int) -> list[list[_Worth]]:
    """Take turns among the tasks, each giving its states with most answers first."""
    shuffler = random.Random(seed)
    for group in groups:
        shuffler.shuffle(group)
        group.sort(key=len)
    wanted = sum(map(len, groups)) if at_most is None else at_most
    taken: list[list[_Worth]] = []
    while len(taken) < wanted and any(groups):
        for group in groups:
            if group and len(taken) < wanted:
                taken.append(group.pop())
    return taken
