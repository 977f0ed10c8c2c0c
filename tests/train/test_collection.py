"""What of a collection is played again, and how."""

import json
from dataclasses import replace

from ml_agent.agents import LLMAgent
from ml_agent.agents.playbook import IDEAS, retold
from ml_agent.core.records import End
from ml_agent.env import COMPACT_ACTIONS
from ml_agent.models import Sampling, ScriptedModel
from ml_agent.runtime import Attempt, Stagehand, rollouts
from ml_agent.store import Stage, Store
from ml_agent.tasks import STARTER, PreparedTask
from ml_agent.train.collection import (
    CollectConfig,
    collect,
    ended,
    forget_others,
    plan_again,
    plan_states,
)
from ml_agent.train.pool import Pool

IDEA = (IDEAS[0].id,)


def _edit(code: str) -> str:
    places = {"start_line_number": 1, "end_line_number": 1}
    names = {"script_name": "train.py", "save_name": "train.py", "new_code": code}
    return f"Thought: so\nAction: Edit Script\nAction Input: {json.dumps(places | names)}"


def _attempt(task: PreparedTask, seed: int, *replies: str, starter: str | None = None) -> Attempt:
    model = ScriptedModel(replies)
    agent = LLMAgent(model, offered=COMPACT_ACTIONS, sampling=Sampling())
    steps = len(replies)
    return Attempt(prepared=task, agent=agent, seed=seed, ideas=IDEA, steps=steps, starter=starter)


def test_a_first_step_that_helped_is_played_again_once_in_every_other_way(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    better, worse, crash = _edit("GUESS = 8.0"), _edit("GUESS = 1.0"), _edit("GUESS = 1 / 0")
    attempts = [
        _attempt(guess_task, 0, worse, better),
        _attempt(guess_task, 1, crash),
        _attempt(guess_task, 2, better, crash),
        _attempt(guess_task, 3, better),
        _attempt(guess_task, 4, _edit("GUESS = 9.0")),
    ]
    played = rollouts(attempts, stagehand, store, Stage.COLLECT)
    again = plan_again(played, [guess_task], CollectConfig(retold=2), style="compact")
    starter = guess_task.workspace[STARTER].decode()
    assert [(one.seed, one.starter, one.ends_after) for one in again] == [
        (1_000_004, retold(starter, 1), 1),  # helped most
        (2_000_004, retold(starter, 2), 1),
        (1_000_002, retold(starter, 1), 1),
        (2_000_002, retold(starter, 2), 1),
    ]
    assert all(one.ideas == IDEA for one in again)


def test_what_was_played_again_is_not_played_again(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    better = _edit("GUESS = 8.0")
    attempts = [_attempt(guess_task, 0, better), _attempt(guess_task, 1_000_000, better)]
    played = rollouts(attempts, stagehand, store, Stage.COLLECT)
    again = plan_again(played, [guess_task], CollectConfig(retold=1), style="compact")
    assert [one.seed for one in again] == [1_000_000]
    assert plan_again(played, [guess_task], CollectConfig(), style="compact") == []


def test_broken_attempts_of_a_plan_are_played_again_and_those_of_another_stay(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    better = _edit("GUESS = 8.0")
    lost = "0" * 64
    first = [_attempt(guess_task, 0, better), _attempt(guess_task, 1, better)]
    broken = [first[0], replace(first[1], workspace=lost)]
    again = [_attempt(guess_task, 1_000_000, better)]
    collect(broken, stagehand, store)
    collect(again, stagehand, store)

    def ends() -> dict[int, End | None]:
        return {one.seed: one.end for one in store.begun(Stage.COLLECT)}

    assert ends() == {0: End.OUT_OF_BUDGET, 1: End.BROKEN, 1_000_000: End.OUT_OF_BUDGET}
    collect(first, stagehand, store)
    assert set(ends().values()) == {End.OUT_OF_BUDGET}


def test_what_broke_and_is_no_longer_planned_is_forgotten(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    better = _edit("GUESS = 8.0")
    whole, lost = (_attempt(guess_task, seed, better) for seed in (0, 1_000_000))
    collect([whole, replace(lost, workspace="0" * 64)], stagehand, store)
    forget_others(store, [whole, lost])
    assert [one.seed for one in store.begun(Stage.COLLECT)] == [0, 1_000_000]
    forget_others(store, [])
    assert [one.seed for one in store.begun(Stage.COLLECT)] == [0]


def test_only_the_best_of_what_is_short_enough_is_played_again(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    # The starter guesses too low: the higher of these two is nearer to the truth.
    good, better, long = _edit("GUESS = 7.0"), _edit("GUESS = 8.0"), _edit("GUESS = 8.5" + " " * 99)
    attempts = [
        _attempt(guess_task, seed, reply) for seed, reply in enumerate((good, better, long))
    ]
    played = rollouts(attempts, stagehand, store, Stage.COLLECT)
    config = CollectConfig(retold=1, retold_best=1)
    again = plan_again(played, [guess_task], config, style="compact", longest=len(better))
    assert [one.seed for one in again] == [1_000_001]


def test_of_a_plan_counts_as_ended_what_was_played_whole_and_nothing_else(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    better = _edit("GUESS = 8.0")
    planned = [_attempt(guess_task, seed, better) for seed in range(3)]
    collect([planned[0], replace(planned[1], workspace="0" * 64)], stagehand, store)
    assert ended(store, planned) == 1
    assert ended(store, [planned[2]]) == 0


def test_states_to_practise_from_are_tellings_that_differ_and_cost_no_experiment(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    states = plan_states([guess_task], 8, style="compact", seed=5)
    starter = guess_task.workspace[STARTER].decode()
    told = [retold(starter, way) for way in range(1, 9)]
    assert {one.starter for one in states} == set(told) - {starter}
    assert 0 < len(states) == len(set(told) - {starter}) < len(told)
    assert all(one.starter == told[one.seed // 1_000_000 - 1] for one in states)
    collect(states, stagehand, store)
    played = list(store.select(stage=Stage.COLLECT))
    assert len(played) == len(states)
    assert {one.end for one in played} == {End.SUBMITTED}
    assert all(step.execution is None for one in played for step in one.steps)
    assert {one.prompt for one in Pool(played, seed=0).draw(len(states))} == {
        one.prompt_of(0) for one in played
    }
    assert plan_states([guess_task], 0, style="compact", seed=5) == []
