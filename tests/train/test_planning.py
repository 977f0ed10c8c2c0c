"""What is planned and played: quotas, ideas by a language model, many attempts in little memory."""

import gc
import weakref
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from ml_agent.agents import Reply
from ml_agent.core.actions import FinalAnswer
from ml_agent.core.errors import UsageError
from ml_agent.core.records import Axis, Completion, Domain, End, Idea, Message, Trajectory
from ml_agent.runtime import Attempt, Stagehand, play_batches
from ml_agent.store import Stage, Store
from ml_agent.tasks import PreparedTask
from ml_agent.train.collection import CollectConfig, chosen_ideas, collect, plan
from ml_agent.train.exploration import Rule, remembered


class Finisher:
    """Ends every attempt at once."""

    policy = "finisher"

    def act(self, histories: Sequence[Sequence[Message]], *, seeds: Sequence[int]) -> list[Reply]:
        said = Completion(text="done", policy=self.policy)
        return [Reply(completion=said, action=FinalAnswer()) for _ in histories]


def embed(texts: Sequence[str]) -> np.ndarray:
    angles = np.array([float(text.split()[-1]) for text in texts])
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def named(prepared: PreparedTask, name: str) -> PreparedTask:
    return replace(prepared, task=prepared.task.model_copy(update={"id": name}))


def ideas(task: str) -> list[Idea]:
    return [
        Idea(id=f"{axis}-{n}", axis=axis, text=f"{task}: {axis} {n}", domains=(Domain.TEXT,))
        for axis in Axis
        for n in range(6)
    ]


def planned(tasks: Sequence[PreparedTask], config: CollectConfig) -> list[Attempt]:
    known = {one.task.id: ideas(one.task.id) for one in tasks}
    return plan(tasks, config, embed=embed, style="paper", seed=0, expert=Finisher(), ideas=known)


def test_a_quota_takes_the_place_of_the_usual_number(guess_task: PreparedTask) -> None:
    tasks = [named(guess_task, name) for name in ("a", "b", "c")]
    config = CollectConfig(attempts_per_task=3, quotas=("b:7", "c:0"))
    attempts = planned(tasks, config)
    assert Counter(one.prepared.task.id for one in attempts) == {"a": 3, "b": 7}
    assert [one.seed for one in attempts] == [*range(3), *range(7)]
    assert [config.attempts(name) for name in "abc"] == [3, 7, 0]


def test_more_attempts_at_one_task_change_no_other(guess_task: PreparedTask) -> None:
    tasks = [named(guess_task, name) for name in ("a", "b")]
    few = planned(tasks, CollectConfig(attempts_per_task=3))
    more = planned(tasks, CollectConfig(attempts_per_task=3, quotas=("a:5",)))
    assert [one.idea_texts for one in more[-3:]] == [one.idea_texts for one in few[-3:]]
    assert [one.idea_texts for one in more[:3]] == [one.idea_texts for one in few[:3]]


@pytest.mark.parametrize("quotas", [("a",), ("a:many",), ("a:-1",), (":3",), ("a:1", "a:2")])
def test_a_quota_that_is_none_is_refused(quotas: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"collect\.quotas"):
        CollectConfig(quotas=quotas)


def test_a_quota_for_a_task_that_is_not_played_is_named(guess_task: PreparedTask) -> None:
    with pytest.raises(UsageError, match="names other, which is not played; there are guess"):
        planned([guess_task], CollectConfig(quotas=("other:3",)))


@pytest.mark.parametrize("rule", ["fps", "mean-distance"])
def test_an_expert_is_told_one_to_three_of_the_ideas_chosen_for_its_task(
    guess_task: PreparedTask, rule: Rule
) -> None:
    config = CollectConfig(attempts_per_task=40, ideas_per_axis=2, rule=rule)
    chosen = {idea.text for idea in chosen_ideas(ideas("guess"), config, embed)}
    assert len(chosen) == 6
    attempts = planned([guess_task], config)
    assert {len(one.idea_texts) for one in attempts} <= {1, 2, 3}
    assert {text for one in attempts for text in one.idea_texts} == chosen
    assert all(
        [text.partition(": ")[2].replace(" ", "-") for text in one.idea_texts] == list(one.ideas)
        for one in attempts
    )


def test_hundreds_of_attempts_are_played_once_and_not_held_in_memory(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    attempts = planned([guess_task], CollectConfig(attempts_per_task=200))
    alive: weakref.WeakValueDictionary[str, Trajectory] = weakref.WeakValueDictionary()
    most = 0

    def look(one: Trajectory) -> None:
        nonlocal most
        alive[one.id] = one
        if one.seed % 40 == 39:
            gc.collect()
            most = max(most, len(alive))

    collect(attempts[:150], stagehand, store, on_step=look)
    collect(attempts, stagehand, store, on_step=look)
    begun = list(store.begun(Stage.COLLECT))
    assert Counter(one.seed for one in begun) == dict.fromkeys(range(200), 1)
    assert {one.end for one in begun} == {End.SUBMITTED}
    # A batch is 24, and one that has ended goes when the next is there.
    assert 0 < most <= 2 * 24


def test_batches_are_played_as_they_are_asked_for(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    attempts = planned([guess_task], CollectConfig(attempts_per_task=5))
    batches = play_batches(attempts, stagehand, store, Stage.COLLECT, at_once=2)
    assert [one.seed for one in next(batches)] == [0, 1]
    assert len(list(store.select())) == 2
    assert [[one.seed for one in batch] for batch in batches] == [[2, 3], [4]]


def test_each_text_is_embedded_once() -> None:
    asked: list[str] = []

    def noting(texts: Sequence[str]) -> np.ndarray:
        asked.extend(texts)
        return embed(texts)

    recall = remembered(noting)
    texts = ["a 1", "b 2", "a 1"]
    assert recall(texts).tolist() == embed(texts).tolist()
    assert recall(["c 3", "b 2"]).tolist() == embed(["c 3", "b 2"]).tolist()
    assert asked == ["a 1", "b 2", "c 3"]
    assert recall([]).shape == (0, 2)
