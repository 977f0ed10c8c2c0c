"""Exploration-enriched collection: many ideas a task, the most diverse of them, played for real.

The expert is the playbook, which needs no language model, or a language model. The playbook's ideas
are not written into the problem text: the fine-tuned policy has to have ideas unasked. A language
model has no other way to know them, so there they are written, as in the paper.

What helped the playbook can be played again on starters told in other ways, so that what is learned
is not how a few scripts are written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml_agent.agents import Agent
from ml_agent.agents.playbook import PlaybookExpert, applicable, retold
from ml_agent.core.errors import TrainingError
from ml_agent.core.records import End, Idea, Trajectory
from ml_agent.env import PromptStyle
from ml_agent.runtime import Attempt, Stagehand, rollouts
from ml_agent.store import Stage, Store
from ml_agent.tasks import STARTER, PreparedTask
from ml_agent.train.examples import improved
from ml_agent.train.exploration import Rule, idea_combinations, select_ideas

if TYPE_CHECKING:
    import numpy as np

    Embed = Callable[[Sequence[str]], np.ndarray]

_OTHER_WAY = 1_000_000
"""Between the seeds of an attempt and of the same on a starter told in the next way."""


@dataclass(frozen=True, kw_only=True)
class CollectConfig:
    """How expert trajectories are made."""

    attempts_per_task: int = 10
    ideas_per_axis: int = 10
    """How many of the applicable ideas are selected, on each axis (`fps`) or in all times three
    (`mean-distance`)."""
    retold: int = 0
    """In how many other ways each starter is written, so that what helped the playbook in its first
    step is played again on each."""
    rule: Rule = "fps"
    """Farthest-point sampling an axis (paper v2), or largest mean distance (v1)."""


def plan(
    tasks: Sequence[PreparedTask],
    config: CollectConfig,
    *,
    embed: "Embed",
    style: PromptStyle,
    seed: int,
    expert: Agent | None = None,
) -> list[Attempt]:
    """Every attempt of the collection; the same arguments give the same plan.

    Args:
        tasks: What is played.
        config: How often, with which ideas.
        embed: How ideas are embedded.
        style: Which fields the playbook writes.
        seed: Of the choice of ideas; each attempt of a task has one of its own from there on.
        expert: Who plays; None: the playbook.

    Raises:
        TrainingError: The playbook is to play a task it has no idea for.
    """
    attempts = []
    for prepared in tasks:
        selected = _selected(prepared, config, embed)
        if not selected and expert is None:
            raise TrainingError(
                f"the playbook has no idea that applies to the starter of {prepared.task.id}; "
                "collect it with a language model as expert, or leave the task out"
            )
        for number, ideas in enumerate(_combined(selected, config.attempts_per_task, seed)):
            names = tuple(idea.id for idea in ideas)
            attempts.append(
                Attempt(
                    prepared=prepared,
                    agent=expert or PlaybookExpert([names], fields=style),
                    seed=seed + number,
                    ideas=names,
                    idea_texts=tuple(idea.text for idea in ideas) if expert else (),
                )
            )
    return attempts


def plan_again(
    played: Sequence[Trajectory],
    tasks: Sequence[PreparedTask],
    config: CollectConfig,
    *,
    style: PromptStyle,
) -> list[Attempt]:
    """First steps that helped, each to be played again on starters told in other ways.

    Args:
        played: What came of `plan`, by the playbook.
        tasks: What is played.
        config: In how many ways.
        style: Which fields the playbook writes.
    """
    prepared_by_id = {one.task.id: one for one in tasks}
    helped: dict[tuple[str, str], Trajectory] = {}
    for one in played:
        first = one.seed < _OTHER_WAY and one.end in {End.SUBMITTED, End.OUT_OF_BUDGET}
        if first and one.steps and improved(prepared_by_id[one.task].task, one, 0):
            helped.setdefault((one.task, one.steps[0].completion.text), one)
    told = {
        one.task.id: [
            retold(one.workspace[STARTER].decode(), way) for way in range(1, config.retold + 1)
        ]
        for one in tasks
    }
    return [
        Attempt(
            prepared=prepared_by_id[one.task],
            agent=PlaybookExpert([one.ideas], fields=style),
            seed=_OTHER_WAY * way + one.seed,
            ideas=one.ideas,
            starter=starter,
            steps=1,
        )
        for (task, _), one in helped.items()
        for way, starter in enumerate(told[task], start=1)
    ]


def collect(
    attempts: Sequence[Attempt],
    stagehand: Stagehand,
    store: Store,
    *,
    on_step: Callable[[Trajectory], None] = lambda _: None,
) -> list[Trajectory]:
    """Play what of the plan is not in the store yet; returns all of the stage's trajectories.

    An attempt that a kill cut off, or our own failure broke, is forgotten and played again.

    Raises:
        MLAgentError: Too many attempts broke by our own fault.
    """
    store.discard_unfinished(Stage.COLLECT)
    played = {(one.task, one.seed, one.ideas) for one in store.select(stage=Stage.COLLECT)}
    missing = [one for one in attempts if (one.prepared.task.id, one.seed, one.ideas) not in played]
    rollouts(missing, stagehand, store, Stage.COLLECT, on_step=on_step)
    return list(store.select(stage=Stage.COLLECT))


def _selected(prepared: PreparedTask, config: CollectConfig, embed: "Embed") -> list[Idea]:
    source = prepared.workspace[STARTER].decode()
    ideas = applicable(prepared.task.domain, source)
    count = config.ideas_per_axis * (3 if config.rule == "mean-distance" else 1)
    return select_ideas(ideas, embed, config.rule, count)


def _combined(selected: Sequence[Idea], n: int, seed: int) -> list[tuple[Idea, ...]]:
    return idea_combinations(selected, n, seed) if selected else [()] * n
