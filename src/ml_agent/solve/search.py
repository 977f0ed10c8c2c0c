"""Attempts from one script to the next, until a budget ends.

Two ways: one line, on from the best script so far (the paper's linear trajectory, again and again),
or a tree of attempts (`solve.tree`). All that the search knows is folded from the recorded
attempts, so a stopped search goes on as if it had not been stopped, in either way, whoever plays.

Selection is by the validation score alone; nothing here can name a test score.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from time import monotonic
from typing import Literal

from ml_agent.core.actions import EDITS
from ml_agent.core.records import Step, Trajectory
from ml_agent.runtime import Attempt, Stagehand, TimeLimit, alarm_if_broken, rollouts
from ml_agent.runtime.attempt import LEAST_S
from ml_agent.sandbox import Snapshots
from ml_agent.solve.memory import Episode, episodes_of, how_it_failed
from ml_agent.solve.players import Play, Player
from ml_agent.solve.tree import Move, Node, Shape, Tree
from ml_agent.store import Stage, Store
from ml_agent.tasks import METRICS, STARTER, PreparedTask

Way = Literal["line", "tree"]

GIVEN = "given"
"""Id of the node of a script that did not run as it was given."""
_SEEDS = 1_000_000
"""Attempts of one seed, at most, before they meet those of the next."""
_THOUGHT_CHARS = 160
IN_VAIN_AT_MOST = 12
"""Attempts in a row without a script that was not run before: no other will come."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """When a search ends."""

    deadline: float
    """When all must be over, as `time.monotonic` tells it."""
    runs_after: float = 0.0
    """How many times as long as its own run a script will take once more after the search."""
    experiments: int | None = None
    """Scripts that may be run; None: any number."""

    def time(self, best_s: float) -> TimeLimit:
        """How long an attempt may go on.

        Args:
            best_s: What the best script so far took; it may stay the best.
        """
        return TimeLimit(deadline=self.deadline, runs_after=self.runs_after, best_s=best_s)


@dataclass(frozen=True, kw_only=True)
class Improvement:
    """A script that was better than every one before it."""

    experiment: int
    """How many scripts had been run, with this one."""
    seconds: float
    """What all of them had taken together."""
    ideas: tuple[str, ...]
    """Ids of the playbook's, or what the policy said it would do."""
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
    attempts: int = 0
    """Recorded, whatever came of them."""
    experiments: int = 0
    seconds: float = 0.0
    failed: int = 0
    """Experiments that led to no score."""
    broken: int = 0
    """Attempts that ended by our own fault."""
    tried: dict[str, set[str]] = field(default_factory=dict)
    """Ideas, and the scripts they were tried on."""
    scripts: set[str] = field(default_factory=set)
    """That were run."""
    mended: list[Episode] = field(default_factory=list)
    """Errors, and what mended them."""
    shape: Shape = field(default_factory=Shape)
    tree: Tree = field(init=False)
    """All attempts that led to anything."""

    def __post_init__(self) -> None:
        """Plant the tree."""
        metric = self.prepared.task.metric
        self.tree = Tree(self.source, self.score, sign=metric.sign, shape=self.shape)

    def take_in(self, played: Trajectory, snapshots: Snapshots) -> None:
        """Learn from a recorded attempt."""
        self.attempts += 1
        self.broken += played.failure is not None
        if not played.workspace:  # It could not even begin.
            return
        start = snapshots.load(played.workspace).get(STARTER, b"").decode(errors="replace")
        for idea in played.ideas if played.end is not None else ():
            self.tried.setdefault(idea, set()).add(start)
        self.mended += episodes_of(played, snapshots)
        node = Node(
            id=played.id,
            script=start,
            score=None,
            move=Move(played.move or Move.IMPROVE),
            parent=self.tree.node(played.parents[0]) if played.parents else self.tree.root,
            partner=played.parents[1] if len(played.parents) > 1 else "",
            ideas=played.ideas,
        )
        thought = ""
        for t, step in enumerate(played.steps):
            ran = step.execution
            if step.action is not None and step.action.kind in EDITS:
                thought = thought_of(step)
            if ran is None:
                continue
            # A result known from before counts once: when its edit was made.
            if not ran.cached or (step.action is not None and step.action.kind in EDITS):
                self.experiments += 1
                self.seconds += ran.wall_s
                self.failed += step.score is None
            files = snapshots.load(played.workspace_before(t))
            self._look_at(step, files, snapshots, node, start, thought)
        if node.score is not None or played.whole:
            # An attempt that left its script as it was leads nowhere.
            node.closed = node.script == start
            self.tree.add(node)

    def _look_at(
        self,
        step: Step,
        files: Mapping[str, bytes],
        snapshots: Snapshots,
        node: Node,
        start: str,
        thought: str,
    ) -> None:
        """Take in one run: the node stands on the attempt's best script, or on its last one."""
        if step.execution is None or not (step.workspace and step.script):
            return
        source = snapshots.load(step.workspace).get(step.script, b"").decode(errors="replace")
        self.scripts.add(source)
        if source == start and step.score is not None:
            return
        alone = stands_alone(source, files, step.script)
        if step.score is None or not step.submission or not alone:
            if node.score is None:
                node.script, node.error = source, how_it_failed(step.execution) or step.malformed
                node.limited, node.thought = step.execution.killed_by is not None, thought
            return
        if node.score is None or self.tree.better(step.score, node.score):
            node.script, node.score, node.error, node.thought = source, step.score, None, thought
        if self.tree.better(step.score, self.score):
            self.improvements.append(
                Improvement(
                    experiment=self.experiments,
                    seconds=self.seconds,
                    ideas=node.ideas or ((thought,) if thought else ()),
                    before=start,
                    after=source,
                    score=step.score,
                    wall_s=step.execution.wall_s,
                    submission=step.submission,
                )
            )
            self.source, self.score, self.wall_s = source, step.score, step.execution.wall_s


def begun(
    prepared: PreparedTask,
    played: Iterable[Trajectory],
    snapshots: Snapshots,
    *,
    given: str | None = None,
    shape: Shape | None = None,
) -> Progress:
    """Where a search stands after the attempts recorded so far.

    Args:
        prepared: The task.
        played: The attempts, as they were begun.
        snapshots: Hold their workspaces.
        given: A script that did not run, to be mended and improved on; None: there is none.
        shape: Of the tree; None: the usual one.
    """
    source = prepared.workspace[STARTER].decode()
    progress = Progress(
        prepared=prepared, source=source, score=prepared.task.m_init, shape=shape or Shape()
    )
    if given is not None:
        progress.tree.add(Node(id=GIVEN, script=given, score=None))
    for one in played:
        progress.take_in(one, snapshots)
    return progress


def search(
    progress: Progress,
    budget: Budget,
    player: Player,
    stagehand: Stagehand,
    store: Store,
    snapshots: Snapshots,
    *,
    way: Way = "line",
    at_once: int = 1,
    seed: int = 0,
    on_attempt: Callable[[Progress], None] = lambda _: None,
) -> str:
    """Improve on the best script until the budget ends or no idea is left; says which.

    Args:
        progress: Where the search stands; it is brought up to date, also by an exception's time.
        budget: When to end.
        player: Who plays.
        stagehand: Boxes and experiments.
        store: Every step is in it before the next one begins.
        snapshots: The stagehand's.
        way: Along one line, or in a tree.
        at_once: Attempts played at the same time.
        seed: Of the attempts.
        on_attempt: Told after each batch of attempts.

    Raises:
        MLAgentError: Our machinery failed too often.
        EndsRun: Every further attempt would fail too: an endpoint's budget is spent, say.
    """
    until = None if budget.experiments is None else progress.experiments + budget.experiments
    ends: list[Trajectory] = []
    in_vain = 0
    while in_vain < IN_VAIN_AT_MOST:
        left = None if until is None else until - progress.experiments
        if left is not None and left <= 0:
            return "the experiments are used up"
        time = budget.time(progress.wall_s)
        if time.ends() - monotonic() < LEAST_S + player.decides_in_s:
            return "the time is used up"
        if progress.score == METRICS[progress.prepared.task.metric.name].perfect:
            return "the score is perfect on validation"
        count = at_once if left is None else min(at_once, left)
        runs = None if left is None else left // count
        attempts = _attempts(progress, player, way, count, seed=seed, time=time, runs=runs)
        if not attempts:
            return f"{player.name} has no idea left{' for this script' if way == 'line' else ''}"
        for played in rollouts(attempts, stagehand, store, Stage.SOLVE, at_once=len(attempts)):
            known = len(progress.scripts)
            progress.take_in(played, snapshots)
            in_vain = in_vain + 1 if len(progress.scripts) == known else 0
            ends.append(played.model_copy(update={"messages": (), "steps": ()}))
        on_attempt(progress)
        alarm_if_broken(ends)
    return f"{player.name} has tried no new script in {in_vain} attempts"


def stands_alone(source: str, files: Mapping[str, bytes], script: str) -> bool:
    """Whether a script needs no other file of the workspace: only it is handed to the user.

    By name: an import of another script there, or another file's name in quotes.

    Args:
        source: The script.
        files: The workspace it ran in.
        script: Its own name there.
    """
    for name in files:
        path = PurePosixPath(name)
        if name == script:
            continue
        if re.search(rf"""["'](?:\./)?{re.escape(name)}["']""", source):
            return False
        if path.suffix == ".py" and re.search(
            rf"^\s*(?:import|from)\s+{re.escape(path.stem)}\b", source, re.MULTILINE
        ):
            return False
    return True


def thought_of(step: Step) -> str:
    """What the policy said it would do, in its own words; empty: nothing."""
    found = re.search(r"^Thought:[ \t]*(.+)$", step.completion.text, re.MULTILINE)
    # Those who learned from the playbook then quote the lines.
    return _plain(found[1].strip().removesuffix("I change:")) if found else ""


def _plain(text: str) -> str:
    """A model's words as they may stand on a terminal and in a report: short, without markup."""
    kept = "".join(one for one in text if one.isprintable() and one not in "`*|<>[]\\#")
    return kept.strip()[:_THOUGHT_CHARS]


def _attempts(
    progress: Progress,
    player: Player,
    way: Way,
    count: int,
    *,
    seed: int,
    time: TimeLimit,
    runs: int | None,
) -> list[Attempt]:
    """What is played next at the same time, at most so much."""
    tree = progress.tree
    choose = tree.choose if way == "tree" else tree.onward
    found: list[Attempt] = []
    try:
        while len(found) < count:
            choice = choose(partial(player.offers, progress))
            if choice is None:
                break
            number = _SEEDS * seed + progress.attempts + len(found)
            play = Play(seed=number, time=time, runs=runs)
            found.append(player.attempt(progress, choice, play))
            tree.hold(choice)
    finally:
        tree.release()
        player.rest()
    return found
