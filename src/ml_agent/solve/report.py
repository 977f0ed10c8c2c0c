"""report.md and result.json: what was concluded, what got better, and how far to believe it.

The one module of solve that may name a test score: the search has ended when it is asked for.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path

from ml_agent.core.base import Record
from ml_agent.core.records import Metric
from ml_agent.sandbox import Snapshots
from ml_agent.solve.answer import Answer
from ml_agent.solve.leaks import Leak
from ml_agent.solve.records import Conclusion
from ml_agent.solve.search import Improvement, Progress
from ml_agent.store import write_atomically, write_json
from ml_agent.tasks import Grader, Malformed, PreparedTask
from ml_agent.tasks.grading import Answers
from ml_agent.tasks.preparation import STARTER_SUBMISSION
from ml_agent.tasks.test_split import grade_test

_DIFF_LINES = 80


class Outcome(Record):
    """result.json."""

    task: str
    metric: Metric
    improved: bool
    """On validation, which is what scripts were chosen by."""
    starter: float
    best: float
    starter_test: float | None
    best_test: float | None
    """None: it could not be graded."""
    test_rows: int
    experiments: int
    without_score: int
    unstable: int
    """Scripts that came out differently when they were run again."""
    ended: str
    stopped: bool
    """By Ctrl-C."""
    script: str
    predictions: str | None

    @property
    def gain(self) -> float:
        """How much better on validation, in the metric's unit; positive is better."""
        return self.metric.sign * (self.best - self.starter)

    @property
    def test_gain(self) -> float | None:
        """The same on the test split; None: not known."""
        if self.starter_test is None or self.best_test is None:
            return None
        return self.metric.sign * (self.best_test - self.starter_test)


def outcome_of(
    progress: Progress,
    grader: Grader,
    snapshots: Snapshots,
    *,
    ended: str | None,
    unstable: int,
    answer: Answer,
) -> Outcome:
    """Grade the starter and the best script on the test split, after everything is decided.

    Args:
        progress: Where the search stands.
        grader: Grades.
        snapshots: Hold the predictions.
        ended: Why it ended; None: by Ctrl-C.
        unstable: Experiments that were found not to be repeatable.
        answer: What is in best/.

    Raises:
        GraderError: The grader failed.
        SandboxError: A prediction file is gone.
    """
    prepared = progress.prepared
    starter = _test_score(grader, prepared, (prepared.answers / STARTER_SUBMISSION).read_bytes())
    best = starter
    if progress.improvements:
        best = _test_score(grader, prepared, snapshots.get(progress.improvements[-1].submission))
    rows = len(Answers.read(prepared.answers).test)
    return Outcome(
        task=prepared.task.id,
        test_rows=rows,
        metric=prepared.task.metric,
        improved=bool(progress.improvements),
        starter=prepared.task.m_init,
        best=progress.score,
        starter_test=starter,
        best_test=best,
        experiments=progress.experiments,
        without_score=progress.failed,
        unstable=unstable,
        ended=ended or "you stopped it",
        stopped=ended is None,
        script=str(answer.folder / "train.py"),
        predictions=str(answer.predictions) if answer.predictions else None,
    )


def _test_score(grader: Grader, prepared: PreparedTask, predictions: bytes) -> float | None:
    found = grade_test(grader, prepared, predictions)
    return None if isinstance(found, Malformed) else found.value


def findings(outcome: Outcome) -> list[str]:
    """What came of it, in sentences none of which says more than was measured."""
    name = outcome.metric.name
    if not outcome.improved and not outcome.experiments:
        return [
            f"No improvement: nothing was tried. The starter's {name} on validation is "
            f"{outcome.starter:.4g}."
        ]
    if not outcome.improved:
        return [
            f"No improvement: none of {outcome.experiments} experiments was better than the "
            f"starter's {name} of {outcome.starter:.4g} on validation."
        ]
    said = [
        f"{name} on validation: {outcome.starter:.4g} -> {outcome.best:.4g}"
        f"{_share(outcome.gain, outcome.starter)}, in {outcome.experiments} experiments."
    ]
    if outcome.starter_test is None or outcome.best_test is None:
        return [*said, "On the test split it could not be graded."]
    said.append(
        f"{name} on the test split, {outcome.test_rows} rows that nothing was chosen by: "
        f"{outcome.starter_test:.4g} -> {outcome.best_test:.4g}"
        f"{_share(outcome.test_gain or 0.0, outcome.starter_test)}."
    )
    if (outcome.test_gain or 0.0) <= 0:
        said.append(
            "The test split does not confirm the improvement: it may have come of choosing by "
            "validation. Until more rows tell, the starter is as good a choice."
        )
    elif outcome.gain > (outcome.test_gain or 0.0):
        said.append(
            f"Expect the test's figure on new rows: the gain on validation is larger by "
            f"{outcome.gain - (outcome.test_gain or 0.0):.3g}, part of which is luck of the choice."
        )
    return said


def _share(gain: float, of: float) -> str:
    if of == 0:
        return ""
    return f" ({abs(gain / of):.1%} {'better' if gain >= 0 else 'worse'})"


def write_report(
    folder: Path,
    outcome: Outcome,
    progress: Progress,
    *,
    statement: str,
    conclusions: Sequence[Conclusion],
    warnings: Sequence[str],
    leaks: Sequence[Leak],
    answer: Answer,
) -> Path:
    """Write report.md and result.json, each whole or not at all; returns the report's path.

    Raises:
        StoreError: They cannot be written.
        DiskFull: No space is left.
    """
    write_json(folder / "result.json", outcome.model_dump(mode="json"))
    parts = [f"# {outcome.task}", *findings(outcome), statement.strip()]
    if not leaks and not conclusions:
        parts.append("The task package says what is solved and how it is measured.")
    if conclusions:
        listed = [
            f"- {one.about}: {_safe(one.found)}, because {_safe(one.because)}"
            for one in conclusions
        ]
        parts += ["## Concluded", "\n".join(listed)]
    if warnings:
        parts.append("\n".join(f"- **{_safe(one)}**" for one in warnings))
    parts += ["## Score over time", _over_time(outcome, progress)]
    for number, one in enumerate(progress.improvements, 1):
        parts += [f"### Improvement {number}: {', '.join(one.ideas)}", _diff(one)]
    if leaks:
        lines = [
            f"- {'**' if one.alarming else ''}{one.check}: {_safe(one.found)}"
            f"{'** - look at this before you trust the score' if one.alarming else ''}"
            for one in leaks
        ]
        parts += ["## Leakage", "\n".join(lines)]
    parts += ["## Files", _files(answer), f"It ended because {outcome.ended}."]
    path = folder / "report.md"
    write_atomically(path, "\n\n".join(parts) + "\n")
    return path


def _over_time(outcome: Outcome, progress: Progress) -> str:
    rows = [(0, 0.0, "starter", outcome.starter)]
    rows += [
        (one.experiment, one.seconds, ", ".join(one.ideas), one.score)
        for one in progress.improvements
    ]
    lines = [
        f"| {count} | {seconds:.1f} | {what} | {score:.6g} |"
        for count, seconds, what, score in rows
    ]
    head = f"| experiments | seconds of them | script | validation {outcome.metric.name} |"
    tail = (
        f"{outcome.experiments} experiments took {progress.seconds:.1f} s; "
        f"{outcome.without_score} of them led to no score."
    )
    if outcome.unstable:
        tail += f" {outcome.unstable} came out differently when they were run again."
    if progress.broken:
        tail += f" {progress.broken} attempts broke by our own fault."
    return "\n".join([head, "|---|---|---|---|", *lines, "", tail])


def _diff(one: Improvement) -> str:
    lines = list(
        difflib.unified_diff(
            one.before.splitlines(), one.after.splitlines(), "before", "after", n=2, lineterm=""
        )
    )
    if len(lines) > _DIFF_LINES:
        lines = [*lines[:_DIFF_LINES], f"[{len(lines) - _DIFF_LINES} lines cut]"]
    # Longer than any fence a script may hold.
    fence = "`" * 8
    return "\n".join([f"{fence}diff", *lines, fence])


def _files(answer: Answer) -> str:
    lines = [
        "- best/train.py: the best script; `cd best && python train.py` runs it on best/data/",
        f"- best/predictions.csv: {_safe(answer.note)}"
        if answer.predictions
        else f"- no predictions.csv: {_safe(answer.note)}",
        "- result.json: the figures",
    ]
    return "\n".join(lines)


def _safe(text: str) -> str:
    """What a user's file says, on one line and without markup."""
    line = " ".join(text.split())
    return "".join(f"\\{one}" if one in "`*|<>[]" else one for one in line)
