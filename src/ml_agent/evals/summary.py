"""Every figure of an evaluation, by policy, by pair of policies and by task: summary.json."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean

from ml_agent.core.base import Record
from ml_agent.core.errors import UsageError
from ml_agent.core.records import Domain, Metric, Task
from ml_agent.evals.results import AttemptResult
from ml_agent.evals.statistics import (
    Difference,
    Interval,
    bootstrap_mean,
    bootstrap_ratio,
    paired_difference,
)
from ml_agent.store.run import write_atomically

SUMMARY_SCHEMA = 1
"""Raise it whenever an old reader would misread a new summary."""


class PolicySummary(Record):
    """One policy over all held-out tasks. Broken attempts are in `broken` and nowhere else.

    None means: not known, because no attempt could tell.
    """

    policy: str
    """Which weights played."""
    valid_action_rate: float | None
    """Share of all steps whose reply held a valid action."""
    edits_that_run: float | None
    """Share of all valid edits whose script ran and was graded."""
    gain: float | None
    """Mean over tasks of the mean relative gain on test (avg@n of the paper, not in percent), but
    for tasks whose starter scores 0 there, to which nothing is relative."""
    normalised_gain: Interval | None
    """Likewise: 0 is the starter, 1 the reference solution."""
    intervals: dict[str, Interval]
    """For each of the three bare figures above that is known."""
    best_normalised_gain: float | None
    """Mean over tasks of the best attempt's (best@n). Chosen on test: an upper bound."""
    without_valid_score: float | None
    """Share of attempts none of whose scripts was ever graded; they count as the starter."""
    improved: float | None
    """Share of attempts that beat the starter on validation."""
    steps_to_first_improvement: float | None
    """Mean over those."""
    validation_to_test_gap: float | None
    """Mean over those, in normalised gain: above 0, validation promised too much."""
    executed_scripts: float | None
    """Mean per attempt."""
    tokens: float | None
    """Mean of sampled tokens per attempt."""
    experiment_s: float | None
    """Mean per attempt: wall seconds of its scripts."""
    attempts: int
    """Broken ones included."""
    broken: int


class TaskPolicySummary(Record):
    """One policy on one task."""

    test_score: float
    """Mean over attempts, in the task's own metric."""
    best_test_score: float
    gain: float | None
    """None: the starter scores 0, of which nothing is a share."""
    normalised_gain: float
    normalised_gains: tuple[float, ...]
    """Of each attempt, by seed."""


class TaskSummary(Record):
    """One held-out task: what there was to win on test, and who won it."""

    task: str
    domain: Domain
    metric: Metric
    starter_test: float
    reference_test: float
    policies: dict[str, TaskPolicySummary]
    """A policy without an unbroken attempt at this task is absent."""


class Summary(Record):
    """summary.json."""

    schema_version: int = SUMMARY_SCHEMA
    policies: dict[str, PolicySummary]
    """By label ("base", "sft", "rl"), as they were trained; what was not evaluated is absent."""
    comparisons: dict[str, Difference]
    """Normalised gain of the later policy minus the earlier one's, e.g. "sft-base"."""
    train_tasks: tuple[str, ...]
    held_out_tasks: tuple[str, ...]
    per_task: tuple[TaskSummary, ...]
    seconds: dict[str, float]
    """Wall seconds of each stage of the run."""
    versions: dict[str, str]

    def pairs(self) -> Iterator[tuple[str, str, Difference]]:
        """(later policy, earlier policy, difference) of every comparison."""
        for earlier, later in combinations(self.policies, 2):
            if (found := self.comparisons.get(f"{later}-{earlier}")) is not None:
                yield later, earlier, found


def summarise(
    results: Mapping[str, Sequence[AttemptResult]],
    *,
    held_out: Sequence[Task],
    train_tasks: Sequence[str] = (),
    seconds: Mapping[str, float] | None = None,
    versions: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Summary:
    """Bring the attempts of several policies together.

    Args:
        results: By label of the policy ("base", "sft", "rl"), in the order of training.
        held_out: The tasks they attempted.
        train_tasks: Ids of the tasks trained on.
        seconds: Wall seconds of each stage.
        versions: What made the run.
        seed: Of the bootstrap.

    Raises:
        UsageError: An attempt is at another task, is there twice, or was played by other weights
            than its label's others.
    """
    for label, attempts in results.items():
        _check(label, attempts, {task.id for task in held_out})
    kept = {
        label: [one for one in attempts if not one.broken] for label, attempts in results.items()
    }
    per_task = [_task_summary(task, kept) for task in held_out]
    return Summary(
        policies={
            label: _policy_summary(attempts, seed=seed)
            for label, attempts in results.items()
            if attempts
        },
        comparisons=_comparisons(kept, seed=seed),
        train_tasks=tuple(train_tasks),
        held_out_tasks=tuple(task.id for task in held_out),
        per_task=tuple(row for row in per_task if row is not None),
        seconds=dict(seconds or {}),
        versions=dict(versions or {}),
    )


def write_summary(run_folder: Path, summary: Summary) -> Path:
    """Write summary.json, whole or not at all, and return its path.

    Raises:
        StoreError: It cannot be written.
        DiskFull: No space is left.
    """
    path = run_folder / "summary.json"
    write_atomically(path, summary.model_dump_json(indent=2) + "\n")
    return path


def _check(label: str, attempts: Sequence[AttemptResult], known: set[str]) -> None:
    seen: set[tuple[str, int]] = set()
    for one in attempts:
        if one.task not in known:
            raise UsageError(
                f"{label}: attempt {one.trajectory} is at {one.task!r}, which is not among the "
                "held-out tasks given. Summarise it apart, or give its task."
            )
        if (one.task, one.seed) in seen:
            raise UsageError(
                f"{label}: task {one.task} has two attempts with seed {one.seed}, so policies "
                "cannot be compared in pairs. Give every attempt at a task its own seed."
            )
        seen.add((one.task, one.seed))
    played = sorted({one.policy for one in attempts})
    if len(played) > 1:
        raise UsageError(
            f"{label} mixes attempts of {', '.join(played)}. Give each policy a label of its own."
        )


def _policy_summary(attempts: Sequence[AttemptResult], *, seed: int) -> PolicySummary:
    kept = [one for one in attempts if not one.broken]
    chosen = [one for one in kept if one.steps_to_first_improvement is not None]
    intervals = {
        "valid_action_rate": _ratio(kept, lambda one: (one.valid_actions, one.steps), seed=seed),
        "edits_that_run": _ratio(kept, lambda one: (one.edits_that_run, one.edits), seed=seed),
        "gain": _macro_mean(kept, lambda one: one.gain, seed=seed),
    }
    known = {name: found for name, found in intervals.items() if found is not None}
    means = {name: known[name].mean if name in known else None for name in intervals}
    bests = [max(_normalised(group)) for group in _by_task(kept)]
    return PolicySummary(
        policy=attempts[0].policy,
        valid_action_rate=means["valid_action_rate"],
        edits_that_run=means["edits_that_run"],
        gain=means["gain"],
        normalised_gain=_macro_mean(kept, lambda one: one.normalised_gain, seed=seed),
        intervals=known,
        best_normalised_gain=_mean(bests),
        without_valid_score=_mean(one.best_validation is None for one in kept),
        improved=_mean(one.steps_to_first_improvement is not None for one in kept),
        steps_to_first_improvement=_mean(one.steps_to_first_improvement for one in chosen),
        validation_to_test_gap=_mean(one.validation_to_test_gap for one in chosen),
        executed_scripts=_mean(one.executed_scripts for one in kept),
        tokens=_mean(one.tokens for one in kept),
        experiment_s=_mean(one.experiment_s for one in kept),
        attempts=len(attempts),
        broken=len(attempts) - len(kept),
    )


def _task_summary(task: Task, kept: Mapping[str, Sequence[AttemptResult]]) -> TaskSummary | None:
    here = {
        label: sorted((one for one in attempts if one.task == task.id), key=lambda one: one.seed)
        for label, attempts in kept.items()
    }
    played = [one for attempts in here.values() for one in attempts]
    if not played:
        return None
    return TaskSummary(
        task=task.id,
        domain=task.domain,
        metric=task.metric,
        starter_test=played[0].starter_test,
        reference_test=played[0].reference_test,
        policies={label: _on_task(task, group) for label, group in here.items() if group},
    )


def _on_task(task: Task, group: Sequence[AttemptResult]) -> TaskPolicySummary:
    scores = [one.test_score for one in group if one.test_score is not None]
    normalised = _normalised(group)
    return TaskPolicySummary(
        test_score=fmean(scores),
        best_test_score=max(scores, key=lambda score: task.metric.sign * score),
        gain=_mean(one.gain for one in group),
        normalised_gain=fmean(normalised),
        normalised_gains=tuple(normalised),
    )


def _comparisons(
    kept: Mapping[str, Sequence[AttemptResult]], *, seed: int
) -> dict[str, Difference]:
    gains = {
        label: {
            (one.task, one.seed): one.normalised_gain
            for one in attempts
            if one.normalised_gain is not None
        }
        for label, attempts in kept.items()
    }
    found = {
        f"{later}-{earlier}": paired_difference(gains[later], gains[earlier], seed=seed)
        for earlier, later in combinations(gains, 2)
    }
    return {label: difference for label, difference in found.items() if difference is not None}


def _by_task(kept: Iterable[AttemptResult]) -> list[list[AttemptResult]]:
    groups: dict[str, list[AttemptResult]] = {}
    for one in kept:
        groups.setdefault(one.task, []).append(one)
    return [groups[task] for task in sorted(groups)]


def _macro_mean(
    kept: Sequence[AttemptResult], value: Callable[[AttemptResult], float | None], *, seed: int
) -> Interval | None:
    groups = [
        [found for one in group if (found := value(one)) is not None] for group in _by_task(kept)
    ]
    return bootstrap_mean(groups, seed=seed) if any(groups) else None


def _ratio(
    kept: Sequence[AttemptResult],
    parts: Callable[[AttemptResult], tuple[int, int]],
    *,
    seed: int,
) -> Interval | None:
    groups = [[parts(one) for one in group] for group in _by_task(kept)]
    known = any(whole for group in groups for _, whole in group)
    return bootstrap_ratio(groups, seed=seed) if known else None


def _normalised(group: Iterable[AttemptResult]) -> list[float]:
    return [one.normalised_gain for one in group if one.normalised_gain is not None]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
