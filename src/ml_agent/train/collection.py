"""Exploration-enriched collection: many ideas a task, the most diverse of them, played for real.

The expert is the playbook, which needs no language model, or a language model. The playbook's ideas
are not written into the problem text: the fine-tuned policy has to have ideas unasked. A language
model has no other way to know them, so there they are written, as in the paper.

What helped the playbook can be played again on starters told in other ways, so that what is learned
is not how a few scripts are written. Of tasks that are practised only, the tellings are enough.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from ml_agent.agents import Agent
from ml_agent.agents.playbook import PlaybookExpert, applicable, retold
from ml_agent.core.errors import TrainingError, UsageError
from ml_agent.core.records import End, Idea, Trajectory
from ml_agent.env import PromptStyle
from ml_agent.rewards import relative_change
from ml_agent.runtime import AT_ONCE, Attempt, OnStep, Stagehand, play_batches
from ml_agent.store import Begun, Stage, Store
from ml_agent.tasks import STARTER, PreparedTask
from ml_agent.train.examples import improved
from ml_agent.train.exploration import Embed, Rule, idea_combinations, select_ideas

_OTHER_WAY = 1_000_000
"""Between the seeds of an attempt and of the same on a starter told in the next way."""


_CUT_SHORT = frozenset({None, End.BROKEN})
"""How attempts end, by a kill or by our own failure, that are played again."""


@dataclass(frozen=True, kw_only=True)
class CollectConfig:
    """How expert trajectories are made."""

    attempts_per_task: int = 10
    quotas: tuple[str, ...] = ()
    """Other numbers of attempts for single tasks, each as TASK:NUMBER; 0 leaves a task out."""
    ideas_per_axis: int = 10
    """How many of the applicable ideas are selected, on each axis (`fps`) or in all times three
    (`mean-distance`)."""
    retold: int = 0
    """In how many other ways each starter is written, so that what helped the playbook in its first
    step is played again on each; see `retold_practised`."""
    retold_best: int | None = None
    """How much of what helped at a task is played again, what helped most first; None: all."""
    retold_practised: int | None = None
    """In how many other ways the starters of tasks are written that are practised only: nothing is
    tried on these, for practice needs the state alone. None: as the others."""
    rule: Rule = "fps"
    """Farthest-point sampling an axis (paper v2), or largest mean distance (v1)."""

    encoder: str = ""
    """What tells how far apart ideas are: a folder of a sentence encoder, or its name on the hub;
    empty: the own one."""

    def __post_init__(self) -> None:
        """Refuse what plays nothing, and quotas that are none.

        Raises:
            UsageError: It is one of these, or a task has two quotas.
        """
        if self.ideas_per_axis < 1 or (self.attempts_per_task < 1 and not self.quotas):
            raise UsageError("collect.attempts_per_task and collect.ideas_per_axis start at 1")
        for quota in self.quotas:
            if not re.fullmatch(r"[^:]+:\d{1,9}", quota):
                raise UsageError(
                    f"collect.quotas: {quota!r} is not TASK:NUMBER, e.g. house-prices:60"
                )
        if self.retold < 0 or (self.retold_best is not None and self.retold_best < 1):
            raise UsageError("collect.retold starts at 0, collect.retold_best at 1")
        if self.retold_practised is not None and self.retold_practised < 0:
            raise UsageError("collect.retold_practised starts at 0")
        if self.rule not in get_args(Rule):
            raise UsageError(
                f"collect.rule is {self.rule!r}; it is one of {', '.join(get_args(Rule))}"
            )
        if len(self._numbers()) < len(self.quotas):
            raise UsageError("collect.quotas names a task twice: give it one number")

    def attempts(self, task: str) -> int:
        """How many attempts at a task are played, by its id."""
        return self._numbers().get(task, self.attempts_per_task)

    def check_quotas(self, tasks: Collection[str]) -> None:
        """Refuse a quota for a task that is not played.

        Raises:
            UsageError: There is one.
        """
        unknown = sorted(set(self._numbers()) - set(tasks))
        if unknown:
            raise UsageError(
                f"collect.quotas names {', '.join(unknown)}, which is not played; there are "
                f"{', '.join(sorted(tasks))}"
            )

    def _numbers(self) -> dict[str, int]:
        parts = [quota.split(":") for quota in self.quotas]
        return {task: int(number) for task, number in parts}


def plan(
    tasks: Sequence[PreparedTask],
    config: CollectConfig,
    *,
    embed: Embed,
    style: PromptStyle,
    seed: int,
    expert: Agent | None = None,
    ideas: Mapping[str, Sequence[Idea]] | None = None,
) -> list[Attempt]:
    """Every attempt of the collection; the same arguments give the same plan.

    Args:
        tasks: What is played.
        config: How often, with which ideas.
        embed: How ideas are embedded.
        style: Which fields the playbook writes.
        seed: Of the choice of ideas; each attempt of a task has one of its own from there on.
        expert: Who plays; None: the playbook.
        ideas: What there is to choose from, by task, for an expert that is told; None: what the
            playbook has.

    Raises:
        TrainingError: The playbook is to play a task it has no idea for.
        UsageError: There is a quota for another task.
    """
    config.check_quotas([prepared.task.id for prepared in tasks])
    attempts = []
    for prepared in tasks:
        task, count = prepared.task, config.attempts(prepared.task.id)
        if not count:
            continue
        source = prepared.workspace[STARTER].decode()
        known = applicable(task.domain, source) if ideas is None else ideas[task.id]
        selected = chosen_ideas(known, config, embed)
        if not selected and expert is None:
            raise TrainingError(
                f"the playbook has no idea that applies to the starter of {task.id}; "
                "collect it with a language model as expert, or leave the task out"
            )
        for number, given in enumerate(_combined(selected, count, seed)):
            names = tuple(idea.id for idea in given)
            attempts.append(
                Attempt(
                    prepared=prepared,
                    agent=expert or PlaybookExpert([names], fields=style),
                    seed=seed + number,
                    ideas=names,
                    idea_texts=tuple(idea.text for idea in given) if expert else (),
                )
            )
    return attempts


def plan_again(
    played: Iterable[Trajectory],
    tasks: Sequence[PreparedTask],
    config: CollectConfig,
    *,
    style: PromptStyle,
    seed: int = 0,
    longest: int | None = None,
) -> list[Attempt]:
    """First steps that helped, each to be played again on starters told in other ways.

    Args:
        played: What came of `plan`, by the playbook.
        tasks: What of it is played again.
        config: In how many ways.
        style: Which fields the playbook writes.
        seed: What `plan` was given.
        longest: Characters an answer may have that is played again; None: any number.
    """
    prepared_by_id = {one.task.id: one for one in tasks}
    helped: dict[str, dict[str, Trajectory]] = defaultdict(dict)
    for one in played:
        first = one.seed - seed < _OTHER_WAY and one.whole
        if (
            one.task not in prepared_by_id
            or not first
            or not one.steps
            or one.steps[0].step_ok is False
        ):
            continue
        if improved(prepared_by_id[one.task].task, one, 0):
            reply = one.steps[0].completion.text
            if longest is None or len(reply) <= longest:
                helped[one.task].setdefault(reply, one)
    told = {one.task.id: _tellings(one, config.retold) for one in tasks}
    return [
        Attempt(
            prepared=prepared_by_id[one.task],
            agent=PlaybookExpert([one.ideas], fields=style),
            seed=_OTHER_WAY * way + one.seed,
            ideas=one.ideas,
            starter=starter,
            ends_after=1,
        )
        for task, firsts in helped.items()
        for one in sorted(
            firsts.values(),
            key=lambda one: -relative_change(prepared_by_id[one.task].task, one, 0),
        )[: config.retold_best]
        for way, starter in enumerate(told[task], start=1)
    ]


def plan_states(
    tasks: Sequence[PreparedTask], ways: int, *, style: PromptStyle, seed: int
) -> list[Attempt]:
    """Attempts that end at once, on starters told in other ways: states to practise from.

    Args:
        tasks: What is practised.
        ways: In how many ways; those that tell nothing new are left out.
        style: Which fields the playbook writes.
        seed: What `plan` was given.
    """
    attempts = []
    for prepared in tasks:
        told = {prepared.workspace[STARTER].decode()}
        for way, starter in enumerate(_tellings(prepared, ways), start=1):
            if starter not in told:
                told.add(starter)
                attempts.append(
                    Attempt(
                        prepared=prepared,
                        agent=PlaybookExpert([()], fields=style),
                        seed=_OTHER_WAY * way + seed,
                        starter=starter,
                        ends_after=1,
                    )
                )
    return attempts


def _tellings(prepared: PreparedTask, ways: int) -> list[str]:
    starter = prepared.workspace[STARTER].decode()
    return [retold(starter, way) for way in range(1, ways + 1)]


def collect(
    attempts: Sequence[Attempt],
    stagehand: Stagehand,
    store: Store,
    *,
    at_once: int = AT_ONCE,
    on_step: OnStep = lambda _: None,
) -> None:
    """Play what of the plan is not in the store yet, `at_once` attempts in step.

    Only those being played are held in memory. An attempt of the plan that a kill cut off, or our
    own failure broke, is forgotten and played again.

    Raises:
        MLAgentError: Too many attempts broke by our own fault.
    """
    planned = {_key(one) for one in attempts}
    store.discard([one.id for one in _unfinished(store) if _key(one) in planned])
    known = {_key(one) for one in store.begun(Stage.COLLECT)}
    missing = [one for one in attempts if _key(one) not in known]
    for _ in play_batches(
        missing,
        stagehand,
        store,
        Stage.COLLECT,
        at_once=at_once,
        well_before=len(attempts) - len(missing),
        on_step=on_step,
    ):
        pass  # What was played is in the store.


def forget_others(store: Store, attempts: Iterable[Attempt]) -> None:
    """Forget what did not come to its end and is not planned any more.

    What is played again depends on what helped: an attempt that broke may be among it no longer.

    Args:
        store: Of the collection.
        attempts: All that is planned.
    """
    planned = {_key(one) for one in attempts}
    store.discard([one.id for one in _unfinished(store) if _key(one) not in planned])


def ended(store: Store, attempts: Iterable[Attempt]) -> int:
    """How many of these were played to their end before.

    Args:
        store: Of the collection.
        attempts: Of a plan.
    """
    whole = {_key(one) for one in store.begun(Stage.COLLECT) if one.end not in _CUT_SHORT}
    return sum(_key(one) in whole for one in attempts)


def _unfinished(store: Store) -> list[Begun]:
    return [one for one in store.begun(Stage.COLLECT) if one.end in _CUT_SHORT]


def _key(one: Attempt | Begun) -> tuple[str, int, tuple[str, ...]]:
    """What names an attempt of a collection."""
    task = one.task if isinstance(one, Begun) else one.prepared.task.id
    return task, one.seed, one.ideas


def chosen_ideas(ideas: Sequence[Idea], config: CollectConfig, embed: Embed) -> list[Idea]:
    """The ideas that are played, by the collection's rule."""
    count = config.ideas_per_axis * (3 if config.rule == "mean-distance" else 1)
    return select_ideas(ideas, embed, config.rule, count)


def _combined(selected: Sequence[Idea], n: int, seed: int) -> list[tuple[Idea, ...]]:
    return idea_combinations(selected, n, seed) if selected else [()] * n
