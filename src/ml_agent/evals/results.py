"""What one recorded attempt was worth, on the test split.

The script that was best on validation is the attempt's result; its test score is reported. The
starter is always a candidate: an attempt that never beat it on validation ends where it began.

Covered: test scores select nothing here, they are read once, after the choice. Not covered:
somebody who repeats an evaluation until its test scores please.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ml_agent.core.actions import EDITS
from ml_agent.core.base import Record
from ml_agent.core.errors import StoreError, TaskError, UsageError
from ml_agent.core.records import End, Step, Task, Trajectory
from ml_agent.tasks.contract import Malformed
from ml_agent.tasks.test_split import TestScore


class AttemptResult(Record):
    """One attempt in figures. Those of a broken attempt say nothing about its policy."""

    policy: str
    """Which weights played, as in the trajectory."""
    task: str
    seed: int
    trajectory: str
    end: End
    best_validation: float | None
    """Best validation score of any of its scripts; None: none of them was ever graded."""
    result_step: int | None
    """Step (from 0) whose script is the result; None: the starter is."""
    starter_test: float
    reference_test: float
    test_score: float | None
    """Test score of the result, the starter's where the starter is the result; None: broken."""
    gain: float | None
    """sign * (m - starter) / |starter| on test; 0 where the starter is the result; None: broken, or
    the starter scores 0, of which nothing is a share."""
    normalised_gain: float | None
    """(m - starter) / (reference - starter) on test; 0 where the starter is the result; None:
    broken."""
    validation_to_test_gap: float | None
    """Normalised gain on validation minus on test: above 0, validation promised too much.
    None: the starter is the result, so nothing was chosen by validation."""
    steps: int
    valid_actions: int
    """Steps whose reply held an action on offer with arguments in range."""
    edits: int
    """Valid editing actions. A reply that failed to be an edit is an invalid action, not one."""
    edits_that_run: int
    """Edits whose script then ran to its end and got a validation score."""
    steps_to_first_improvement: int | None
    """Steps taken until validation first beat the starter, that one included; None: never."""
    executed_scripts: int
    """Runs of a script: those the agent asked for, and the reward's own after each edit."""
    tokens: int | None
    """Tokens sampled; None: the provider did not tell."""
    experiment_s: float
    """Wall seconds of those runs. A cached run counts with the time it once took."""

    @property
    def broken(self) -> bool:
        """Our machinery failed: counted apart, left out of every average."""
        return self.end is End.BROKEN


def measure(
    task: Task,
    trajectory: Trajectory,
    *,
    test_score: Callable[[bytes], TestScore | Malformed],
    submission: Callable[[str], bytes],
    starter_test: float,
    reference_test: float,
) -> AttemptResult:
    """Judge one attempt by the test score of the script it would have handed in.

    Predictions that validation graded but test cannot (`Malformed`) leave the starter as result.

    Args:
        task: The task that was attempted.
        trajectory: The finished attempt.
        test_score: Grades the bytes of a predictions file on the test split.
        submission: Bytes of a predictions file by its digest (`Step.submission`).
        starter_test: Test score of the starter script.
        reference_test: Test score of the reference solution.

    Raises:
        UsageError: The attempt is not finished, or is one at another task.
        TaskError: The reference does not beat the starter on test, so gains have no scale.
        StoreError: A graded step kept no predictions.
    """
    end = _finished(task, trajectory)
    _check_scale(task, starter_test, reference_test)
    best = None if end is End.BROKEN else _best_on_validation(task, trajectory)
    chosen = _Chosen(None, None if end is End.BROKEN else starter_test, None)
    if best is not None and not isinstance(graded := test_score(submission(best[2])), Malformed):
        found = (graded.value - starter_test) / (reference_test - starter_test)
        chosen = _Chosen(best[0], graded.value, task.normalised_gain(best[1]) - found)
    return AttemptResult(
        policy=trajectory.policy,
        task=task.id,
        seed=trajectory.seed,
        trajectory=trajectory.id,
        end=end,
        best_validation=_best_score(task, trajectory),
        result_step=chosen.step,
        starter_test=starter_test,
        reference_test=reference_test,
        test_score=chosen.score,
        gain=chosen.above(starter_test, per=task.metric.sign * abs(starter_test)),
        normalised_gain=chosen.above(starter_test, per=reference_test - starter_test),
        validation_to_test_gap=chosen.gap,
        steps=len(trajectory.steps),
        valid_actions=sum(_is_valid(step) for step in trajectory.steps),
        edits=sum(_is_edit(step) for step in trajectory.steps),
        edits_that_run=sum(_is_edit(step) and _ran(step) for step in trajectory.steps),
        steps_to_first_improvement=_first_improvement(task, trajectory),
        executed_scripts=sum(step.execution is not None for step in trajectory.steps),
        tokens=_tokens(trajectory),
        experiment_s=sum(step.execution.wall_s for step in trajectory.steps if step.execution),
    )


def pooled(
    runs: Iterable[tuple[int, Mapping[str, Sequence[AttemptResult]]]],
) -> dict[str, list[AttemptResult]]:
    """Attempts of several runs, to be summarised as one.

    Of intervals over them all: tasks and attempts are drawn anew, runs are not, so they do not know
    how a policy varies from one training to the next.

    Args:
        runs: A number of its own for each, and its attempts by label of the policy. They are told
            apart by the number, and pair with those of the same run alone.
    """
    found: dict[str, list[AttemptResult]] = {}
    for number, by_label in runs:
        for label, attempts in by_label.items():
            found.setdefault(label, []).extend(
                one.model_copy(update={"policy": label, "seed": _RUN * number + one.seed})
                for one in attempts
            )
    return found


_RUN = 1_000_000_000_000
"""Above every attempt's seed."""


@dataclass(frozen=True)
class _Chosen:
    """The attempt's result: whose script, and what it scored on test."""

    step: int | None
    score: float | None
    gap: float | None

    def above(self, starter: float, *, per: float) -> float | None:
        return None if self.score is None or per == 0 else (self.score - starter) / per


def _finished(task: Task, trajectory: Trajectory) -> End:
    if trajectory.task != task.id:
        raise UsageError(
            f"attempt {trajectory.id} is at task {trajectory.task!r}, not {task.id!r}: "
            "measure it with its own task."
        )
    if trajectory.end is None:
        raise UsageError(
            f"attempt {trajectory.id} at {task.id} is not finished: start the evaluation again "
            "to play it to its end, then measure."
        )
    return trajectory.end


def _check_scale(task: Task, starter: float, reference: float) -> None:
    if not (math.isfinite(starter) and math.isfinite(reference)):
        raise TaskError(
            f"task {task.id}: a starter's test score of {starter} and a reference's of "
            f"{reference} give gains no scale. Use a metric whose scores are finite."
        )
    if task.metric.sign * (reference - starter) <= 0:
        raise TaskError(
            f"task {task.id}: on the test split the reference ({reference:g}) does not beat the "
            f"starter ({starter:g}) in {task.metric.name}, so gains have no scale. Give the task a "
            "larger test split or a better reference."
        )


def _best_on_validation(task: Task, trajectory: Trajectory) -> tuple[int, float, str] | None:
    """(step, score, predictions digest) of the earliest best script, if it beats the starter."""
    best: tuple[int, float, str] | None = None
    beaten = task.m_init
    for t, step in enumerate(trajectory.steps):
        if step.score is None or task.metric.sign * (step.score - beaten) <= 0:
            continue
        if step.submission is None:
            raise StoreError(
                f"step {t} of attempt {trajectory.id} has a score but kept no predictions, so it "
                "cannot be graded on the test split. Play the attempt again with this version."
            )
        best, beaten = (t, step.score, step.submission), step.score
    return best


def _best_score(task: Task, trajectory: Trajectory) -> float | None:
    scores = [step.score for step in trajectory.steps if step.score is not None]
    return max(scores, key=lambda score: task.metric.sign * score, default=None)


def _first_improvement(task: Task, trajectory: Trajectory) -> int | None:
    for t, step in enumerate(trajectory.steps):
        if step.score is not None and task.metric.sign * (step.score - task.m_init) > 0:
            return t + 1
    return None


def _is_valid(step: Step) -> bool:
    return step.action is not None and step.invalid is None


def _is_edit(step: Step) -> bool:
    return _is_valid(step) and step.action is not None and step.action.kind in EDITS


def _ran(step: Step) -> bool:
    return step.execution is not None and step.execution.succeeded and step.score is not None


def _tokens(trajectory: Trajectory) -> int | None:
    counts = [len(step.completion.token_ids) for step in trajectory.steps]
    return sum(counts) if all(counts) else None
