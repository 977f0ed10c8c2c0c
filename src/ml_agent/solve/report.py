"""What a solve found, as facts: result.json. The page (`solve.page`) and the terminal tell these.

The one module of solve that may name a test score: the search has ended when it is asked for.
"""

from collections.abc import Sequence

from ml_agent.core.base import Record
from ml_agent.core.records import Metric, Trajectory
from ml_agent.pages.blocks import unified
from ml_agent.pages.wording import figure
from ml_agent.sandbox import Snapshots
from ml_agent.solve.answer import Answer
from ml_agent.solve.attempts import reasons
from ml_agent.solve.certainty import Between, intervals_of
from ml_agent.solve.leaks import Leak
from ml_agent.solve.search import Improvement, Progress
from ml_agent.tasks import STARTER, Grader, Malformed, PreparedTask
from ml_agent.tasks.grading import Answers
from ml_agent.tasks.preparation import STARTER_SUBMISSION
from ml_agent.tasks.test_split import grade_test

_MEASURED_AT_MOST = 12
"""Improvements whose intervals are computed: the latest."""
_ROWS_AT_MOST = 60_000
"""Rows of predictions that are read for that, all scripts together: it must not take seconds."""


class Better(Record):
    """A script that was better on validation than every one before it."""

    experiment: int
    """How many scripts had been run, with this one."""
    seconds: float
    """What all of them had taken together."""
    score: float
    between: Between | None
    why: tuple[str, ...]
    """The ideas it carries out, or what was thought."""
    diff: str
    """From the script its attempt began with."""


class Intervals(Record):
    """Where figures lie with 95 % confidence (`solve.certainty`); None: not known."""

    starter: Between | None = None
    best: Between | None = None
    gain: Between | None = None
    """Of a script that was chosen by this very split: partly luck."""
    starter_test: Between | None = None
    best_test: Between | None = None
    test_gain: Between | None = None


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
    intervals: Intervals = Intervals()
    improvements: tuple[Better, ...] = ()
    leaks: tuple[Leak, ...] = ()
    """All checks; empty: it was a task package, whose data are not looked at."""

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
    played: Sequence[Trajectory],
    *,
    ended: str | None,
    unstable: int,
    answer: Answer,
    leaks: Sequence[Leak] = (),
) -> Outcome:
    """Grade the starter and the best script on the test split, after everything is decided.

    Args:
        progress: Where the search stands.
        grader: Grades.
        snapshots: Hold the predictions.
        played: The attempts as recorded: they know why.
        ended: Why it ended; None: by Ctrl-C.
        unstable: Experiments that were found not to be repeatable.
        answer: What is in best/.
        leaks: What the leakage checks found.

    Raises:
        GraderError: The grader failed.
        SandboxError: A prediction file is gone.
    """
    prepared = progress.prepared
    first = (prepared.answers / STARTER_SUBMISSION).read_bytes()
    last = snapshots.get(progress.improvements[-1].submission) if progress.improvements else first
    starter = _test_score(grader, prepared, first)
    best = _test_score(grader, prepared, last) if progress.improvements else starter
    answers = Answers.read(prepared.answers)
    intervals, every = _intervals(progress, answers, snapshots, first, last)
    return Outcome(
        task=prepared.task.id,
        test_rows=len(answers.test),
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
        script=str(answer.folder / STARTER),
        predictions=str(answer.predictions) if answer.predictions else None,
        intervals=intervals,
        improvements=tuple(
            _better(one, found, played)
            for one, found in zip(progress.improvements, every, strict=True)
        ),
        leaks=tuple(leaks),
    )


def _intervals(
    progress: Progress, answers: Answers, snapshots: Snapshots, first: bytes, last: bytes
) -> tuple[Intervals, list[Between | None]]:
    """All intervals, and those of the improvements one by one."""
    metric, found = progress.prepared.task.metric, progress.improvements
    rows = len(answers.valid) + len(answers.test)
    measured = found[-max(1, min(_MEASURED_AT_MOST, _ROWS_AT_MOST // rows)) :]
    submissions = [first, *(snapshots.get(one.submission) for one in measured)]
    (starter, *every), gain = intervals_of(metric, answers, "valid", submissions)
    tested, test_gain = intervals_of(metric, answers, "test", [first, last] if found else [first])
    intervals = Intervals(
        starter=starter,
        best=every[-1] if every else starter,
        gain=gain,
        starter_test=tested[0],
        best_test=tested[-1],
        test_gain=test_gain,
    )
    return intervals, [*([None] * (len(found) - len(measured))), *every]


def _better(found: Improvement, sure: Between | None, played: Sequence[Trajectory]) -> Better:
    by = next(
        (
            one
            for one in played
            if any(
                step.submission == found.submission and step.score == found.score
                for step in one.steps
            )
        ),
        None,
    )
    return Better(
        experiment=found.experiment,
        seconds=found.seconds,
        score=found.score,
        between=sure,
        why=reasons(by) if by is not None else found.ideas,
        diff=unified(found.before, found.after, "before", "after"),
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
            f"{figure(outcome.starter)}."
        ]
    if not outcome.improved:
        return [
            f"No improvement: none of {outcome.experiments} experiments was better than the "
            f"starter's {name} of {figure(outcome.starter)} on validation."
        ]
    said = [
        f"{name} on validation: {figure(outcome.starter)} -> {figure(outcome.best)}"
        f"{_share(outcome.gain, outcome.starter)}, in {outcome.experiments} experiments."
    ]
    if outcome.starter_test is None or outcome.best_test is None:
        return [*said, "On the test split it could not be graded."]
    said.append(
        f"{name} on the test split, {outcome.test_rows} rows that nothing was chosen by: "
        f"{figure(outcome.starter_test)} -> {figure(outcome.best_test)}"
        f"{_share(outcome.test_gain or 0.0, outcome.starter_test)}."
    )
    sure = outcome.intervals.test_gain
    if (outcome.test_gain or 0.0) > 0 and sure is not None:
        low, high = figure(sure.low, signed=True), figure(sure.high, signed=True)
        lies = f"with 95 % confidence it lies between {low} and {high}"
        said.append(
            f"That gain is more than the luck of which rows are in the split: {lies}."
            if sure.low > 0
            else f"So few rows do not tell that gain from none: {lies}."
        )
    if (outcome.test_gain or 0.0) <= 0:
        said.append(
            "The test split does not confirm the improvement: it may have come of choosing by "
            "validation. Until more rows tell, the starter is as good a choice."
        )
    elif outcome.gain > (outcome.test_gain or 0.0):
        more = figure(outcome.gain - (outcome.test_gain or 0.0))
        said.append(
            f"Expect the test's figure on new rows: the gain on validation is larger by {more}, "
            "part of which is luck of the choice."
        )
    return said


def _share(gain: float, of: float) -> str:
    if of == 0:
        return ""
    return f" ({abs(gain / of):.1%} {'better' if gain >= 0 else 'worse'})"
