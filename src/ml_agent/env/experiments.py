"""One experiment: run a script in the box, take its predictions out, have them graded.

The predictions file never stays in the workspace. A script that crashes before it writes one must
not be graded on what an earlier run left there.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace

from ml_agent.core.records import Execution, Task
from ml_agent.env.result_cache import Result, ResultCache, experiment_key
from ml_agent.sandbox import Sandbox, Snapshots
from ml_agent.tasks import SUBMISSION, Grader, Malformed, PreparedTask

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one experiment showed."""

    execution: Execution
    score: float | None
    """On validation; None: nothing to grade."""
    malformed: str | None
    """Why predictions, though the script ended well, could not be graded."""
    submission: str | None
    """Digest of the predictions file."""
    workspace: str
    """Digest of the workspace the run left, without the predictions."""


@dataclass
class _Known:
    """A finding of this object, and how often it was given out again."""

    finding: Finding
    hits: int = 0


@dataclass
class _Turn:
    """Whose turn it is to do one experiment, and how many want to."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    wanted: int = 0


class Experiments:
    """Runs scripts and grades them, and does not run the same experiment twice.

    What is the same is said by `experiment_key`. What was found is remembered as long as this
    object lives and, if there is a cache, results outlive it; they are graded again, as scores are
    never cached. Equal experiments asked for at the same time are run once. Safe to share between
    threads.

    Not remembered: a run that met its time limit, as the machine may have been busy; nor, beyond
    this object, one that met any limit, as the machine may have been short of memory or disk.

    Scripts are expected to be repeatable, as the box's fixed hash seed and the tasks' starters
    make them. That is checked: see `is_due`. An experiment that comes out differently the second
    time is run anew whenever it is asked for, from then on.
    """

    def __init__(
        self,
        grader: Grader,
        snapshots: Snapshots,
        *,
        cache: ResultCache | None = None,
        check_box: Callable[[PreparedTask], Sandbox] | None = None,
    ) -> None:
        """Set up; nothing is run.

        Args:
            grader: Grades all predictions, of cached results too.
            snapshots: Where predictions and workspaces are kept; every box's own.
            cache: Results that outlive this object; None: there are none.
            check_box: Makes the box in which a result is checked, best a cold one. None: never.
        """
        self._grader = grader
        self._snapshots = snapshots
        self._cache = cache
        self._check_box = check_box
        self._known: dict[tuple[str, ...], _Known] = {}
        self._unstable: set[str] = set()
        self._turns: dict[str, _Turn] = {}
        self._lock = threading.Lock()

    @property
    def unstable(self) -> int:
        """How many experiments did not come out the same when they were checked here."""
        with self._lock:
            return len(self._unstable)

    def run(
        self, prepared: PreparedTask, box: Sandbox, script: str, *, cores: Collection[int] = ()
    ) -> Finding:
        """Run `script` of the workspace in `box`, which afterwards stands as the run left it.

        Args:
            prepared: The task that is worked on.
            box: Holds the workspace.
            script: Which file of it to run.
            cores: Processor cores the run is placed on; none: on any.

        Raises:
            SandboxError: The box failed.
            GraderError: The grader's process failed.
        """
        limits, splits = prepared.task.budget.experiment, prepared.task.splits
        before = box.snapshot()
        key = experiment_key(
            script=script, workspace=before, data=splits.public, limits=limits, tier=box.tier
        )
        with self._turn(key):
            # What is graded differently is another finding, though not another result.
            place = (key, splits.valid, prepared.task.metric.name)
            known = self._recalled(prepared, place)
            if known is None:
                execution = box.run((script,), limits=limits, cores=cores)
                finding = self._examine(prepared, box, execution)
                self._remember(place, finding)
                return finding
            hits = self._count_hit(key, known)
            if self._check_box is not None and is_due(key, hits):
                with closing(self._check_box(prepared)) as other:
                    other.restore(before)
                    execution = other.run((script,), limits=limits, cores=cores)
                    fresh = self._examine(prepared, other, execution)
                if _differ(known.finding, fresh):
                    self._mark_unstable(key, prepared.task, script)
                    box.restore(fresh.workspace)
                    return fresh
            box.restore(known.finding.workspace)
            execution = known.finding.execution.model_copy(update={"cached": True})
            return replace(known.finding, execution=execution)

    def _recalled(self, prepared: PreparedTask, place: tuple[str, ...]) -> _Known | None:
        """What is known of an experiment: from this object's memory, else from the cache."""
        key = place[0]
        if self._is_unstable(key):
            return None
        with self._lock:
            known = self._known.get(place)
        if known is None and self._cache and (kept := self._cache.find(key)) is not None:
            # Into the run's own snapshots: nothing outside a run's folder is needed to read it.
            workspace = self._snapshots.save(kept.workspace)
            known = _Known(self._graded(prepared, kept.execution, kept.predictions, workspace))
            with self._lock:
                self._known[place] = known
        return known

    def _remember(self, place: tuple[str, ...], finding: Finding) -> None:
        key, execution = place[0], finding.execution
        if execution.killed_by == "time" or self._is_unstable(key):
            return
        with self._lock:
            self._known[place] = _Known(finding)
        if self._cache and execution.killed_by is None:
            predictions = self._snapshots.get(finding.submission) if finding.submission else None
            workspace = self._snapshots.load(finding.workspace)
            result = Result(execution=execution, predictions=predictions, workspace=workspace)
            self._cache.keep(key, result)

    def _count_hit(self, key: str, known: _Known) -> int:
        """How often a result has been given out, with this time; in all processes, if cached."""
        known.hits += 1
        return max(known.hits, self._cache.hit(key) if self._cache else 0)

    def _mark_unstable(self, key: str, task: Task, script: str) -> None:
        logger.warning(
            "%s of %s is not repeatable: run again, it came out differently. Its results are not "
            "used again.",
            script,
            task.id,
        )
        with self._lock:
            self._unstable.add(key)
        if self._cache:
            self._cache.mark_unstable(key)

    def _is_unstable(self, key: str) -> bool:
        with self._lock:
            found_here = key in self._unstable
        return found_here or (self._cache is not None and self._cache.is_unstable(key))

    def _examine(self, prepared: PreparedTask, box: Sandbox, execution: Execution) -> Finding:
        predictions = box.read(SUBMISSION)
        workspace = box.snapshot()
        if predictions is not None:
            files = self._snapshots.load(workspace)
            files.pop(SUBMISSION, None)
            workspace = self._snapshots.save(files)
            box.restore(workspace)
        return self._graded(prepared, execution, predictions, workspace)

    def _graded(
        self,
        prepared: PreparedTask,
        execution: Execution,
        predictions: bytes | None,
        workspace: str,
    ) -> Finding:
        submission, score, malformed = None, None, None
        if execution.succeeded:
            if predictions is None:
                malformed = f"the script wrote no {SUBMISSION}"
            else:
                submission = self._snapshots.put(predictions)
                graded = self._grader.validation(prepared, predictions)
                if isinstance(graded, Malformed):
                    malformed = graded.reason
                else:
                    score = graded.value
        return Finding(
            execution=execution,
            score=score,
            malformed=malformed,
            submission=submission,
            workspace=workspace,
        )

    @contextmanager
    def _turn(self, key: str) -> Iterator[None]:
        """One thread at a time does an experiment; whoever waited finds what came of it.

        If nothing came of it, by our own fault or for want of time, the next one tries itself.
        """
        with self._lock:
            turn = self._turns.setdefault(key, _Turn())
            turn.wanted += 1
        try:
            with turn.lock:
                yield
        finally:
            with self._lock:
                turn.wanted -= 1
                if not turn.wanted:
                    del self._turns[key]


def is_due(key: str, hits: int) -> bool:
    """Whether a result is checked at this hit: at one of any 32 of its key, which one varies.

    So 3 % of all that is given out is checked, and what is given out often soonest. More would
    cost more than it shows: a check in a cold box takes 20 times as long as a short experiment in
    a warm one. A key and its own count decide, neither other experiments nor the order of threads.

    Args:
        key: Of the experiment.
        hits: How often its result has been given out, with this time.
    """
    return (int(key[:8], 16) + hits) % 32 == 0


def _differ(known: Finding, fresh: Finding) -> bool:
    """Whether a check came out differently: in exit code, limit or predictions.

    Not in the output, as scripts print how long they took. A check that met a limit says nothing:
    cold boxes import libraries first, which takes time and memory.
    """
    if fresh.execution.killed_by is not None and known.execution.killed_by is None:
        return False
    return any(
        one != other
        for one, other in (
            (known.execution.exit_code, fresh.execution.exit_code),
            (known.execution.killed_by, fresh.execution.killed_by),
            (known.submission, fresh.submission),
        )
    )


def format_score(task: Task, score: float) -> str:
    """A score as agents and people read it: four decimals, none for large numbers."""
    return f"{score:.4f}" if abs(score) < 100 else f"{score:.0f}"
