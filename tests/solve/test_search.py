"""The search's own rules: which idea is next, and when it ends."""

from pathlib import Path

import pytest

from ml_agent.agents import LLMAgent
from ml_agent.agents.playbook.library import PLAYS
from ml_agent.env import COMPACT_ACTIONS
from ml_agent.models import Sampling, ScriptedModel
from ml_agent.runtime import Attempt, Stagehand, rollouts
from ml_agent.sandbox import Snapshots
from ml_agent.solve.attempts import attempts_of
from ml_agent.solve.players import next_ideas
from ml_agent.solve.search import Budget, Progress
from ml_agent.store import Stage, Store
from ml_agent.tasks import PreparedTask

SCRIPT = """import pandas as pd
from sklearn.linear_model import Ridge

train = pd.read_csv("data/train.csv")
predict = pd.read_csv("data/predict.csv")
columns = ["a", "b", "c"]
model = Ridge(alpha=1.0)
model.fit(train[columns], train["y"])
predict["prediction"] = model.predict(predict[columns])
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
"""


@pytest.fixture
def progress(guess_task: PreparedTask) -> Progress:
    return Progress(prepared=guess_task, source=SCRIPT, score=4.0)


def test_ideas_whose_code_is_flawed_on_purpose_are_not_tried(progress: Progress) -> None:
    ideas = next_ideas(progress, SCRIPT, seed=0)
    assert len(ideas) > 30
    assert not [one.id for one in ideas if PLAYS[one.id].flawed]


def test_the_usual_ideas_go_first_then_the_axes_take_turns(progress: Progress) -> None:
    ideas = next_ideas(progress, SCRIPT, seed=0)
    assert [one.id for one in ideas[:2]] == ["model-hist-boosting", "data-all-numeric"]
    usual = next(i for i, one in enumerate(ideas) if one.id == "model-linear")
    axes = {one.axis.value for one in ideas[usual + 1 : usual + 4]}
    assert axes == {"model", "data", "learning"}


def test_an_idea_is_tried_once_on_a_script_and_last_on_the_next_one(progress: Progress) -> None:
    first = next_ideas(progress, SCRIPT, seed=0)[0]
    progress.tried[first.id] = {SCRIPT}
    assert first not in next_ideas(progress, SCRIPT, seed=0)
    other = SCRIPT.replace("alpha=1.0", "alpha=2.0")
    ideas = next_ideas(progress, other, seed=0)
    assert ideas[-1] == first


def test_another_seed_is_another_order_and_the_same_ideas(progress: Progress) -> None:
    one, other = (next_ideas(progress, SCRIPT, seed=seed) for seed in (0, 1))
    assert one != other
    assert {idea.id for idea in one} == {idea.id for idea in other}


@pytest.mark.parametrize(
    ("runs_after", "best_s", "longest_s", "left_s", "run_s"),
    [
        # The best takes 8 s again: 22 are left. A run of 10 s, and one of 20 s after it, make 30.
        (2.0, 4.0, 0.0, 22.0, 10.0),
        # The best script will take 24 s again, if it stays the best.
        (2.0, 12.0, 0.0, 6.0, 6.0),
        (2.0, 16.0, 0.0, -2.0, -2.0),
        # An attempt's own run of 12 s may have been of a new best one.
        (2.0, 4.0, 12.0, 6.0, 6.0),
        # Shorter ones count as a second.
        (2.0, 0.0, 0.1, 28.0, 10.0),
        # Nothing is run again.
        (0.0, 12.0, 0.0, 30.0, 30.0),
    ],
)
def test_an_attempt_leaves_time_to_run_the_best_script_again(
    runs_after: float, best_s: float, longest_s: float, left_s: float, run_s: float
) -> None:
    now = 1000.0
    time = Budget(deadline=now + 30, runs_after=runs_after).time(best_s)
    assert time.ends(longest_s) - now == pytest.approx(left_s)
    assert time.run_s(now, longest_s) == pytest.approx(run_s)


def test_an_attempt_that_could_not_begin_is_counted_and_leads_nowhere(
    progress: Progress, stagehand: Stagehand, store: Store, guess_task: PreparedTask, tmp_path: Path
) -> None:
    agent = LLMAgent(ScriptedModel([]), offered=COMPACT_ACTIONS, sampling=Sampling())
    attempt = Attempt(prepared=guess_task, agent=agent, seed=0, workspace="0" * 64)
    rollouts([attempt], stagehand, store, Stage.SOLVE)
    snapshots = Snapshots(tmp_path / "snapshots")
    # As the search is taken up again: what is recorded is gone through anew.
    for played in store.select(stage=Stage.SOLVE):
        progress.take_in(played, snapshots)
        metric = guess_task.task.metric
        told = attempts_of([played], metric=metric, starter=SCRIPT, m_init=4.0, load=snapshots.load)
        assert told == []
    assert (progress.attempts, progress.broken, progress.experiments) == (1, 1, 0)
