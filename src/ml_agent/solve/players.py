"""Who plays the attempts of a search: the playbook, or a language model of any kind."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from ml_agent.agents import Agent, Reply
from ml_agent.agents.playbook import PlaybookExpert, sound
from ml_agent.agents.playbook.repairs import repair
from ml_agent.core.actions import ExecuteScript
from ml_agent.core.errors import ModelError
from ml_agent.core.records import Axis, Domain, Idea, Message
from ml_agent.runtime import Attempt, TimeLimit
from ml_agent.solve.memory import Odds
from ml_agent.solve.notes import Shelf, notes_on
from ml_agent.solve.tree import Choice, Move
from ml_agent.tasks import STARTER

if TYPE_CHECKING:
    from ml_agent.solve.search import Progress

STEPS = 5
"""Of an attempt at one idea: edit, run, mend what crashed, run, end."""
RUNS_AT_MOST = 4
"""Of an attempt at one idea, should no result of its own be found again."""
_CROSSED_AT_MOST = 3
"""Ideas that one crossover brings over."""
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
_LOOK = ExecuteScript(script_name=STARTER)
"""What is to be mended is run first, so that its error is seen."""


@dataclass(frozen=True, kw_only=True)
class Play:
    """What decides an attempt besides the choice."""

    seed: int
    """Another one for every attempt."""
    time: TimeLimit
    runs: int | None
    """How many scripts it may run; None: any number."""


class Player(Protocol):
    """Turns choices into attempts."""

    @property
    def name(self) -> str:
        """For messages: "the playbook"."""
        ...

    @property
    def decides_in_s(self) -> float:
        """How long it takes to decide on a step, as far as is known."""
        ...

    def offers(self, progress: "Progress", choice: Choice) -> bool:
        """Whether it has anything new to play there."""
        ...

    def attempt(self, progress: "Progress", choice: Choice, play: Play) -> Attempt:
        """The attempt for a choice that it offers; the next one of the same batch is another."""
        ...

    def rest(self) -> None:
        """The batch has been played."""
        ...


class PlaybookPlayer:
    """Plays the playbook's ideas: one an attempt, or those of another branch together."""

    name = "the playbook"
    decides_in_s = 0.0

    def __init__(self, *, seed: int, odds: Mapping[str, Odds] | None = None) -> None:
        """Make a player.

        Args:
            seed: Of the order of ideas.
            odds: How ideas fared in earlier runs.
        """
        self._seed = seed
        self._odds = dict(odds or {})
        self._taken: set[tuple[str, str]] = set()
        """Scripts and ideas of the batch that is being made up."""

    def offers(self, progress: "Progress", choice: Choice) -> bool:
        """See `Player`."""
        node = choice.node
        if choice.move is not Move.DEBUG or node.error is None:
            return bool(self._ideas(progress, choice))
        return repair(node.error, node.script) is not None

    def attempt(self, progress: "Progress", choice: Choice, play: Play) -> Attempt:
        """See `Player`."""
        ideas = self._ideas(progress, choice)
        self._taken |= {(choice.node.script, one) for one in ideas}
        debug = choice.move is Move.DEBUG
        enough = play.runs is None or play.runs >= RUNS_AT_MOST * max(1, len(ideas))
        steps = max(STEPS, 1 + 2 * len(ideas) + 2 * debug)
        return replace(
            begun_attempt(progress, choice, play, PlaybookExpert([ideas])),
            ideas=ideas,
            # The last experiments leave none over for what may follow an edit.
            steps=steps if enough else 1 + debug,
        )

    def rest(self) -> None:
        """See `Player`."""
        self._taken.clear()

    def _ideas(self, progress: "Progress", choice: Choice) -> tuple[str, ...]:
        if choice.move is Move.DEBUG and choice.node.error is not None:
            return ()
        if choice.partner is not None:
            return self._lacking(progress, choice)
        script = choice.node.script
        ideas = next_ideas(progress, script, self._seed, odds=self._odds)
        fresh = (one.id for one in ideas if (script, one.id) not in self._taken)
        return tuple(one for _, one in zip(range(1), fresh, strict=False))

    def _lacking(self, progress: "Progress", choice: Choice) -> tuple[str, ...]:
        """The partner's ideas that a node lacks, if one of them is new to its script."""
        assert choice.partner is not None
        script = choice.node.script
        own = {idea for one in choice.node.lineage for idea in one.ideas}
        other = [idea for one in reversed(list(choice.partner.lineage)) for idea in one.ideas]
        lacking = [one for one in dict.fromkeys(other) if one not in own][:_CROSSED_AT_MOST]
        suited = {one.id for one in _sound(progress.prepared.task.domain, script)}
        new = [
            one
            for one in lacking
            if one in suited
            and (script, one) not in self._taken
            and script not in progress.tried.get(one, set())
        ]
        return tuple(lacking) if new else ()


class ModelPlayer:
    """Lets a language model play: it sees the task, the script, and notes."""

    def __init__(
        self,
        agent: Agent,
        *,
        steps: int | None = None,
        guided: bool = False,
        shelf: Shelf | None = None,
        wait_until: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Make a player.

        Args:
            agent: Asks the model.
            steps: Of an attempt; None: as many as the task allows, as in the paper.
            guided: Tell it what each attempt is for. A policy that was trained without such notes
                is told what it was told in training.
            shelf: What else stands in those notes; None: nothing.
            wait_until: Tells the model when nobody waits for its answers any more.
        """
        self.name = agent.policy
        self._agent = _Timed(agent)
        self._steps = steps
        self._guided = guided
        self._shelf = shelf
        self._wait_until = wait_until

    @property
    def decides_in_s(self) -> float:
        """See `Player`: what it took on average."""
        return self._agent.mean_s

    def offers(self, progress: "Progress", choice: Choice) -> bool:
        """See `Player`. A language model is never at a loss."""
        return self._guided or choice.move is not Move.CROSSOVER

    def attempt(self, progress: "Progress", choice: Choice, play: Play) -> Attempt:
        """See `Player`."""
        self._wait_until(play.time.ends())
        begun = begun_attempt(progress, choice, play, self._agent)
        task = begun.prepared.task
        steps = self._steps or task.budget.steps
        if play.runs is not None:
            steps = min(steps, play.runs)
        steps += len(begun.begins)
        notes = ""
        if self._guided:
            mended = progress.mended
            notes = notes_on(choice, task, progress.tree, self._shelf, mended=mended)
            budget = task.budget.model_copy(update={"steps": steps})
            task = task.model_copy(update={"budget": budget})
        return replace(
            begun,
            prepared=replace(begun.prepared, task=task),
            # A policy of ours is not told: its prompts are as those that it learned from.
            ends_after=steps,
            notes=notes,
            decides_in_s=self.decides_in_s,
        )

    def rest(self) -> None:
        """See `Player`."""


class _Timed:
    """An agent, and how long it took to decide."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.policy = agent.policy
        self._spent_s, self._decided = 0.0, 0

    @property
    def mean_s(self) -> float:
        return self._spent_s / max(1, self._decided)

    def act(
        self, histories: Sequence[Sequence[Message]], *, seeds: Sequence[int]
    ) -> Sequence[Reply | ModelError]:
        """See `Agent`."""
        began = monotonic()
        try:
            return self._agent.act(histories, seeds=seeds)
        finally:
            self._spent_s += monotonic() - began
            self._decided += 1


def begun_attempt(progress: "Progress", choice: Choice, play: Play, agent: Agent) -> Attempt:
    """An attempt as all players begin it: at a task whose starter is the node's script."""
    node = choice.node
    before = node.score if node.score is not None else progress.tree.score_before(node)
    prepared = progress.prepared
    task = prepared.task.model_copy(update={"m_init": before})
    parents = (node.id, choice.partner.id) if choice.partner else (node.id,)
    return Attempt(
        prepared=replace(prepared, task=task),
        agent=agent,
        seed=play.seed,
        starter=node.script,
        time=play.time,
        begins=(_LOOK,) if choice.move is Move.DEBUG and not node.limited else (),
        move=choice.move.value,
        parents=tuple(filter(None, parents)),
    )


def next_ideas(
    progress: "Progress", base: str, seed: int, *, odds: Mapping[str, Odds] | None = None
) -> Sequence[Idea]:
    """Ideas not yet tried on a script, those tried on fewest scripts first.

    Among these go first those with the best odds, (helped + 1 for a usual one) / (tried + 1) of
    earlier runs, so the usual ones where nothing is known; then the axes take turns.
    """
    suited = _sound(progress.prepared.task.domain, base)
    fresh = [one for one in suited if base not in progress.tried.get(one.id, set())]
    random.Random(seed).shuffle(fresh)
    ranks: dict[str, tuple[int, float, int, int, int]] = {}
    for axis_place, axis in enumerate(_ORDER):
        for place, one in enumerate(idea for idea in fresh if idea.axis is axis):
            usual = _FIRST.index(one.id) if one.id in _FIRST else len(_FIRST)
            tried = len(progress.tried.get(one.id, set()))
            fared = (odds or {}).get(one.id) or Odds(tried=0, helped=0)
            hope = (fared.helped + (one.id in _FIRST)) / (fared.tried + 1)
            ranks[one.id] = (tried, -hope, usual, place, axis_place)
    return sorted(fresh, key=lambda one: ranks[one.id])


@lru_cache(maxsize=256)
def _sound(domain: Domain, source: str) -> tuple[Idea, ...]:
    # A tree asks for the same scripts again and again, and half a second each is long.
    return sound(domain, source)
