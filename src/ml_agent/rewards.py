"""What a step was worth: pure functions of records, so that old runs can be scored again.

The ML-specific reward module of ML-Agent (arXiv 2505.23723, section 3.3), in both printed forms,
and a third of our own:

                invalid    an       valid and no edit,    an edit whose script
                action     error    or a limit was met    ran and was graded
    Sigmoid     0          0        0.5                   sigma(100 d)
    Linear      -1         -1       0                     d, clipped to [-1, 1] by default
    Gain        -0.5       0        0                     0.2 + 0.8 max(0, tanh(2 d))

with d = (m_{t+1} - m_t) / (m_best - m_init); the sign of the denominator makes d positive for an
improvement whichever way the metric points. All are functions of validation scores alone.

Deviations: v2 prints no bound below; `Linear(clip=None)` is the printed form. Without a bound a
blown-up metric would be worse than a crash. Under `Sigmoid` an edit that changes nothing is as
good as one that helps much in half of its attempts and crashes in the others, and it is surer: a
small policy settles on it. `Gain` pays little for a script that runs, and most for what a policy
is measured by. It tells an invalid action from an error, which the paper's two do not: where most
edits crash, nothing else would hold a policy to the form of its answers.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from ml_agent.core.actions import EDITS, ExecuteScript
from ml_agent.core.errors import UsageError
from ml_agent.core.records import Step, Task, Trajectory


class Case(StrEnum):
    """Which column of the table a step falls into."""

    INVALID = "invalid"
    ERROR = "error"
    """The script crashed, or left no predictions or malformed ones."""
    CORNER = "corner"
    """The script met a limit: time, memory, disk or processes."""
    NEUTRAL = "neutral"
    EDIT = "edit"
    """An edit whose script ran and was graded: only these are worth more or less."""
    UNKNOWN = "unknown"
    """We could not find out. Trains nothing."""


class Reward(Protocol):
    """What step `t` was worth; None: unknown, which trains nothing and is not zero."""

    def __call__(self, task: Task, trajectory: Trajectory, t: int) -> float | None:
        """Look at the facts of step `t` and those before it, and at nothing else."""
        ...


@dataclass(frozen=True)
class Sigmoid:
    """The reward of the paper's first version; its reported numbers were made with it.

    It saturates: an improvement by 1 % of the range gives 0.731, by 5 % 0.993.
    """

    slope: float = 100.0

    def __call__(self, task: Task, trajectory: Trajectory, t: int) -> float | None:
        """In [0, 1]."""
        match case_of(trajectory.steps[t]):
            case Case.UNKNOWN:
                return None
            case Case.INVALID | Case.ERROR:
                return 0.0
            case Case.CORNER | Case.NEUTRAL:
                return 0.5
            case Case.EDIT:
                return _sigmoid(self.slope * relative_change(task, trajectory, t))


@dataclass(frozen=True)
class Linear:
    """The reward of the paper's second version."""

    clip: float | None = 1.0
    """Bound on both sides for an edit; None is the printed form."""

    def __call__(self, task: Task, trajectory: Trajectory, t: int) -> float | None:
        """In [-1, 1] when clipped to 1."""
        match case_of(trajectory.steps[t]):
            case Case.UNKNOWN:
                return None
            case Case.INVALID | Case.ERROR:
                return -1.0
            case Case.CORNER | Case.NEUTRAL:
                return 0.0
            case Case.EDIT:
                change = relative_change(task, trajectory, t)
                return change if self.clip is None else max(-self.clip, min(self.clip, change))


@dataclass(frozen=True)
class Gain:
    """An improvement is worth most, a script that runs a little; not in the paper.

    An attempt's result is its best script. So an edit improves what is better than the best before
    it: to take back what made it worse is none. And harmless edits and losses are alike: a good
    edit that fails three times of four is still worth a harmless one.
    """

    runs: float = 0.2
    """Worth of an edit whose script runs. Where no answer to a state helps, it is at least learned
    from what crashes."""
    invalid: float = -0.5
    """Worth of what is no action."""
    slope: float = 2.0
    """Over `tanh`: 2 % of the way to the reference are 0.04 of what is left, 10 % are 0.20, 30 %
    are 0.54, 90 % are 0.95. At 5 three trees of a forest were found to earn what fifteen do."""

    def __call__(self, task: Task, trajectory: Trajectory, t: int) -> float | None:
        """From `invalid` to 1."""
        match case_of(trajectory.steps[t]):
            case Case.UNKNOWN:
                return None
            case Case.INVALID:
                return self.invalid
            case Case.EDIT:
                change = relative_change(task, trajectory, t, trajectory.best_before(task, t))
                return self.runs + (1 - self.runs) * max(0.0, math.tanh(self.slope * change))
            case _:
                return 0.0


def reward_named(name: str) -> Reward:
    """The reward of that name: "sigmoid", "linear" or "gain".

    Raises:
        UsageError: There is no such reward.
    """
    match name:
        case "sigmoid":
            return Sigmoid()
        case "linear":
            return Linear()
        case "gain":
            return Gain()
    raise UsageError(f"there is no reward {name!r}; choose sigmoid, linear or gain")


def case_of(step: Step) -> Case:
    """Sort a step into the reward's table."""
    if step.action is None:
        return Case.INVALID
    is_edit = step.action.kind in EDITS
    if not is_edit and not isinstance(step.action, ExecuteScript):
        return Case.NEUTRAL
    ran = step.execution
    if ran is None:
        return Case.UNKNOWN
    if ran.killed_by is not None:
        return Case.CORNER
    if ran.exit_code != 0 or step.score is None:
        return Case.ERROR
    return Case.EDIT if is_edit else Case.NEUTRAL


def relative_change(
    task: Task, trajectory: Trajectory, t: int, before: float | None = None
) -> float:
    """Return d of the table: the change of score as a share of the way from starter to reference.

    Args:
        task: The trajectory's.
        trajectory: Whose step.
        t: Which; it must be graded.
        before: The score it is compared with; None: the last one before it.
    """
    score = trajectory.steps[t].score
    if score is None:
        raise ValueError(f"step {t} of {trajectory.id} has no score, so it changed nothing known")
    before = trajectory.score_before(task, t) if before is None else before
    return (score - before) / task.headroom


def _sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)) without overflow."""
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    return math.exp(x) / (1.0 + math.exp(x))
