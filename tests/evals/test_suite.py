"""Playing a policy on held-out tasks: what is played again, and by which seeds."""

import json

from ml_agent.agents import LLMAgent
from ml_agent.core.errors import ModelError
from ml_agent.core.records import End
from ml_agent.env import PAPER_ACTIONS
from ml_agent.evals.suite import play
from ml_agent.models import Sampling, ScriptedModel
from ml_agent.runtime import Stagehand
from ml_agent.store import Stage, Store
from ml_agent.tasks import PreparedTask

DONE = f"Action: Final Answer\nAction Input: {json.dumps({'final_answer': 'done'})}"


class Silent(ScriptedModel):
    """A model that is out of reach."""

    def _next(self) -> None:  # type: ignore[override]
        raise ModelError("no answer")


def agent(policy: str, *, reached: bool = True) -> LLMAgent:
    model = (ScriptedModel if reached else Silent)([DONE] * 2, policy=policy)
    return LLMAgent(model, offered=PAPER_ACTIONS, sampling=Sampling())


def played(
    hand: Stagehand, store: Store, task: PreparedTask, who: LLMAgent, *, seed: int = 0
) -> list[tuple[int, End | None]]:
    found = play(who, [task], hand, store, attempts_per_task=2, steps=1, seed=seed)
    return [(one.seed, one.end) for one in found]


def test_what_broke_for_one_policy_stays_counted_while_another_plays(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    lost, known = agent("base", reached=False), agent("sft")
    broken = [(0, End.BROKEN), (1, End.BROKEN)]
    assert played(stagehand, store, guess_task, lost) == broken
    ended = [(0, End.SUBMITTED), (1, End.SUBMITTED)]
    assert played(stagehand, store, guess_task, known) == ended
    assert [one.end for one in store.select(stage=Stage.EVAL, policy="base")] == [End.BROKEN] * 2
    # Asked to play again, it plays what broke.
    assert played(stagehand, store, guess_task, agent("base")) == ended


def test_evaluation_tells_the_budget_that_was_told_in_what_was_learned_from(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    played(stagehand, store, guess_task, agent("a"))
    told = {one.prompt_of(0)[-1].text.splitlines()[-1] for one in store.select(stage=Stage.EVAL)}
    assert told == {f"This is step 1 of {guess_task.task.budget.steps}."}


def test_attempts_of_two_seeds_are_different_ones(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    first = played(stagehand, store, guess_task, agent("a"), seed=0)
    second = played(stagehand, store, guess_task, agent("b"), seed=1)
    assert not {seed for seed, _ in first} & {seed for seed, _ in second}
