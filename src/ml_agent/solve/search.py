"""Attempts from the best script so far, one idea each, until a budget ends.

The paper's linear trajectory, again and again: greedy over scripts. All that the search knows is
folded from the recorded attempts, so a stopped search goes on as if it had not been stopped.

Selection is by the validation score alone; nothing here can name a test score.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic

from ml_agent.agents.playbook import PlaybookExpert, sound
from ml_agent.core.actions import EDITS
from ml_agent.core.records import Axis, Idea, Trajectory
from ml_agent.runtime import Attempt, Stagehand, rollouts
from ml_agent.runtime.rollout import LEAST_S
from ml_agent.sandbox import Snapshots
from ml_agent.store import Stage, Store
from ml_agent.tasks import METRICS, STARTER, PreparedTask

STEPS = 5
"""Of an attempt: edit, run, mend what crashed, run, end."""
_RUNS_AT_MOST = 4
"""Of an attempt, should no result of its own be found again."""
_RUN_AT_LEAST_S = 1.0
"""Shorter runs are counted as so long: starting and reading take their time too."""
_FIRST = (
    "model-hist-boosting",
    "data-all-numeric",
    "model-logistic",
    "learning-log-target",
    "model-extra-trees",
    "data-ordinal",
    "model-cross-validated-linear",
    "data-vocabulary-5000",
    "model-forest",
    "data-bigrams",
    "model-linear",
)
"""What an engineer tries first on data never seen before; all else comes in turn."""
_ORDER = (Axis.MODEL, Axis.DATA, Axis.LEARNING)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """When a search ends."""

    deadline: float
    """When all must be over, as `time.monotonic` tells it."""
    runs_after: float = 0.0
    """How many times as long as its own run a script will take once more after the search."""
    experiments: int | None = None
    """Scripts that may be run; None: any number."""

    def attempt_deadline(self, best_s: float) -> float:
        """When an attempt that begins now must be over, for the best script to be run again.

        Args:
            best_s: What the best script so far took; it may stay the best.
        """
        now = monotonic()
        latest = self.deadline - self.runs_after * max(best_s, _RUN_AT_LEAST_S)
        return min(latest, now + (self.deadline - now) / (1 + self.runs_after))


@dataclass(frozen=True, kw_only=True)
class Improvement:
    """A script that was better than every one before it."""

    experiment: int
    """How many scripts had been run, with this one."""
    seconds: float
    """What all of them had taken together."""
    ideas: tuple[str, ...]
    before: str
    after: str
    score: float
    wall_s: float
    """What this script took."""
    submission: str
    """Digest of its predictions."""


@dataclass
class Progress:
    """What is known of a search."""

    prepared: PreparedTask
    source: str
    """The best script."""
    score: float
    wall_s: float = 0.0
    """What it took; 0 for the starter, which is light."""
    improvements: list[Improvement] = field(default_factory=list)
    experiments: int = 0
    seconds: float = 0.0
    failed: int = 0
    """Experiments that led to no score."""
    broken: int = 0
    """Attempts that ended by our own fault."""
    tried: dict[str, set[str]] = field(default_factory=dict)
    """Ideas, and the scripts they were tried on."""

    def take_in(self, played: Trajectory, snapshots: Snapshots) -> None:
        """Learn from a recorded attempt."""
        if played.failure is not None:
            self.broken += 1
        start = snapshots.load(played.workspace).get(STARTER, b"").decode(errors="replace")
        for idea in played.ideas if played.end is not None else ():
            self.tried.setdefault(idea, set()).add(start)
        for step in played.steps:
            ran = step.execution
            if ran is None:
                continue
            # A result known from before counts once: when its edit was made.
            if not ran.cached or (step.action is not None and step.action.kind in EDITS):
                self.experiments += 1
                self.seconds += ran.wall_s
                self.failed += step.score is None
            if step.score is None or not (step.workspace and step.script and step.submission):
                continue
            if self.prepared.task.metric.sign * (step.score - self.score) <= 0:
                continue
            source = snapshots.load(step.workspace)[step.script].decode(errors="replace")
            self.improvements.append(
                Improvement(
                    experiment=self.experiments,
                    seconds=self.seconds,
                    ideas=played.ideas,
                    before=start,
                    after=source,
                    score=step.score,
                    wall_s=ran.wall_s,
                    submission=step.submission,
                )
            )
            self.source, self.score, self.wall_s = source, step.score, ran.wall_s


def begun(prepared: PreparedTask, played: Iterable[Trajectory], snapshots: Snapshots) -> Progress:
    """Where a search stands after the attempts recorded so far."""
    source = prepared.workspace[STARTER].decode()
    progress = Progress(prepared=prepared, source=source, score=prepared.task.m_init)
    for one in played:
        progress.take_in(one, snapshots)
    return progress


def search(
    progress: Progress,
    budget: Budget,
    stagehand: Stagehand,
    store: Store,
    snapshots: Snapshots,
    *,
    at_once: int = 1,
    seed: int = 0,
    also_from: str | None = None,
    on_attempt: Callable[[Progress], None] = lambda _: None,
) -> str:
    """Improve on the best script until the budget ends or no idea is left; says which.

    Args:
        progress: Where the search stands; it is brought up to date, also by an exception's time.
        budget: When to end.
        stagehand: Boxes and experiments.
        store: Every step is in it before the next one begins.
        snapshots: The stagehand's.
        at_once: Attempts played at the same time.
        seed: Of the order of ideas.
        also_from: A script that did not run, to be mended and improved on first; None: there is
            none.
        on_attempt: Told after each batch of attempts.

    Raises:
        MLAgentError: Our machinery failed too often.
    """
    starts = [also_from] if also_from is not None else []
    until = None if budget.experiments is None else progress.experiments + budget.experiments
    while True:
        left = None if until is None else until - progress.experiments
        if left is not None and left <= 0:
            return "the experiments are used up"
        deadline = budget.attempt_deadline(progress.wall_s)
        if deadline - monotonic() < LEAST_S:
            return "the time is used up"
        if progress.score == METRICS[progress.prepared.task.metric.name].perfect:
            return "the score is perfect on validation"
        base = starts.pop() if starts else progress.source
        count = at_once if left is None else min(at_once, left)
        ideas = next_ideas(progress, base, seed)[:count]
        if not ideas:
            if base is not progress.source:
                continue
            return "the playbook has no idea left for this script"
        # The last experiments leave none over for what may follow an edit.
        steps = STEPS if left is None or left >= count * _RUNS_AT_MOST else 1
        attempts = [
            _attempt(progress, base, one, seed=seed, steps=steps, deadline=deadline)
            for one in ideas
        ]
        for played in rollouts(attempts, stagehand, store, Stage.SOLVE, at_once=count):
            progress.take_in(played, snapshots)
        on_attempt(progress)


def next_ideas(progress: Progress, base: str, seed: int) -> Sequence[Idea]:
    """Ideas not yet tried on a script, those tried on fewest scripts first.

    Among these the usual ones go first, then the axes take turns.
    """
    suited = sound(progress.prepared.task.domain, base)
    fresh = [one for one in suited if base not in progress.tried.get(one.id, set())]
    random.Random(seed).shuffle(fresh)
    ranks: dict[str, tuple[int, int, int, int]] = {}
    for axis_place, axis in enumerate(_ORDER):
        for place, one in enumerate(idea for idea in fresh if idea.axis is axis):
            usual = _FIRST.index(one.id) if one.id in _FIRST else len(_FIRST)
            tried = len(progress.tried.get(one.id, set()))
            ranks[one.id] = (tried, usual, place, axis_place)
    return sorted(fresh, key=lambda one: ranks[one.id])


def _attempt(
    progress: Progress, source: str, idea: Idea, *, seed: int, steps: int, deadline: float
) -> Attempt:
    """One idea tried on a script, at a task whose starter is that script."""
    task = progress.prepared.task.model_copy(update={"m_init": progress.score})
    return Attempt(
        prepared=replace(progress.prepared, task=task),
        starter=source,
        agent=PlaybookExpert([[idea.id]]),
        seed=seed,
        ideas=(idea.id,),
        steps=steps,
        deadline=deadline,
    )
