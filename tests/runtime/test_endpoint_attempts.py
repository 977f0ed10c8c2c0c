"""Whole attempts played by a scripted endpoint over real HTTP: expert and coder, in real boxes."""

import json
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

import chat_server
from chat_server import ChatServer, say, status
from ml_agent.agents import EndpointAgent, LLMAgent, Reply
from ml_agent.compute import Batch, Scheduler
from ml_agent.core.actions import EditScriptAI
from ml_agent.core.errors import BudgetSpent, ModelError
from ml_agent.core.records import Completion, End, Step, Trajectory
from ml_agent.core.replies import parse_reply
from ml_agent.env import SEVEN_ACTIONS, ModelCoder
from ml_agent.models import Sampling, ScriptedModel
from ml_agent.models.http import Budget, Endpoint, Exchange, HttpModel, Ledger, Price, Secret
from ml_agent.rewards import Case, Linear, case_of
from ml_agent.runtime import Attempt, Stagehand, State, retry, rollouts
from ml_agent.store import Sample, Stage, Store
from ml_agent.tasks import PreparedTask
from ml_agent.train.acting import Actor
from ml_agent.train.policy import Policy

KEY = "sk-secret-0123456789"


def act(action: str, **keys: object) -> str:
    fields = "Reflection: r\nResearch Plan and Status: p\nFact Check: f\nThought: t\n"
    return f"{fields}Action: {action}\nAction Input: {json.dumps(keys)}"


def ai_edit(instruction: str, save: str = "train.py") -> str:
    return act(
        "Edit Script (AI)",
        script_name="train.py",
        edit_instruction=instruction,
        save_name=save,
    )


RUN = act("Execute Script", script_name="train.py")
DONE = act("Final Answer", final_answer="done")
PLAN = [
    act("List Files", dir_path="."),
    act("Inspect Script Lines", script_name="train.py", start_line_number=1, end_line_number=8),
    act("Understand File", file_name="data/predict.csv", things_to_look_for="the columns"),
    act("Copy File", source="train.py", destination="old.py"),
    ai_edit("Guess 8"),
    RUN,
    DONE,
]
GUESS = "GUESS = {}\nimport os\nprint(sorted(os.environ.items()))\n"


def plays(asked: dict[str, Any]) -> str:
    """What the scripted endpoint says: the expert by its step, the coder by its instruction."""
    messages = asked["messages"]
    if asked["model"] == "expert":
        return PLAN[(len(messages) - 2) // 2]
    told = messages[1]["content"]
    if told.startswith("Look for"):
        return "One column, id."
    number = told.partition("Guess ")[2].partition("\n")[0]
    script = told.partition("```python\n")[2].rpartition("\n```")[0]
    return f"```python\n{GUESS.format(number)}{script.partition(chr(10))[2]}\n```"


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(answer=plays) as one:
        yield one


@pytest.fixture
def exchange(server: ChatServer, tmp_path: Path) -> Iterator[Exchange]:
    with opened(server, tmp_path) as one:
        yield one


def opened(
    server: ChatServer,
    folder: Path,
    budget: Budget | None = None,
    prices: dict[str, Price] | None = None,
) -> Exchange:
    endpoint = Endpoint(url=server.url, key=Secret(KEY), backoff_s=0.01, timeout_s=5.0)
    books = folder / "endpoint.sqlite"
    return Exchange(endpoint, Ledger(books, budget=budget or Budget(), prices=prices))


def staged(stagehand: Stagehand, exchange: Exchange) -> Stagehand:
    coder = ModelCoder(HttpModel(exchange, "coder"), max_tokens=200)
    return replace(stagehand, style="paper", offered=SEVEN_ACTIONS, coder=coder)


def attempts(exchange: Exchange, task: PreparedTask, count: int) -> list[Attempt]:
    model = HttpModel(exchange, "expert")
    agent = EndpointAgent(model, offered=SEVEN_ACTIONS, sampling=Sampling(max_tokens=100))
    return [Attempt(prepared=task, agent=agent, seed=seed) for seed in range(count)]


def test_an_endpoint_plays_all_seven_actions_and_the_record_holds_it(
    server: ChatServer,
    exchange: Exchange,
    stagehand: Stagehand,
    store: Store,
    guess_task: PreparedTask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    hand = staged(stagehand, exchange)
    (played,) = rollouts(attempts(exchange, guess_task, 1), hand, store, Stage.COLLECT)
    assert store.get(played.id) == played
    assert (played.end, played.policy, len(played.steps)) == (End.SUBMITTED, "expert", 7)
    assert [step.action.kind for step in played.steps if step.action] == [
        "List Files",
        "Inspect Script Lines",
        "Understand File",
        "Copy File",
        "Edit Script (AI)",
        "Execute Script",
        "Final Answer",
    ]
    told = [step.observation for step in played.steps]
    assert told[2] == "One column, id."
    assert told[4].startswith(
        "Saved train.py.\n--- train.py\n+++ train.py\n@@ -1,4 +1,6 @@\n-GUESS = 6.0\n+GUESS = 8\n"
    )
    assert told[5].endswith("Validation mae: 2.0000")
    assert [step.score for step in played.steps[4:6]] == [2.0, 2.0]
    assert Linear()(guess_task.task, played, 4) == 0.5
    assert played.prompt_of(5)[-1].text == told[4]
    # The script printed its environment: the key is not in it, and nowhere in the record.
    assert KEY not in played.model_dump_json()
    # The coder saw a file and what to do with it, and nothing of the task.
    coded = [one for one in server.asked if one["model"] == "coder"]
    assert len(coded) == 2
    statement = guess_task.task.statement
    assert not any(statement in json.dumps(one) or "10.0" in json.dumps(one) for one in coded)


def test_each_attempt_asks_the_same_whatever_is_played_beside_it(
    server: ChatServer,
    exchange: Exchange,
    stagehand: Stagehand,
    tmp_path: Path,
    guess_task: PreparedTask,
) -> None:
    hand = staged(stagehand, exchange)
    together = Store(tmp_path / "together.sqlite")
    rollouts(attempts(exchange, guess_task, 3), hand, together, Stage.COLLECT)
    asked = len(server.asked)
    # The coder is asked the same by all three, so once.
    assert asked == 3 * 7 + 2
    alone = Store(tmp_path / "alone.sqlite")
    for attempt in reversed(attempts(exchange, guess_task, 3)):
        rollouts([attempt], hand, alone, Stage.COLLECT)
    assert len(server.asked) == asked
    for kept in (together, alone):
        kept.close()


def test_an_attempt_whose_expert_does_not_answer_breaks_and_no_other(
    server: ChatServer,
    exchange: Exchange,
    stagehand: Stagehand,
    store: Store,
    guess_task: PreparedTask,
) -> None:
    exchange.endpoint = replace(exchange.endpoint, tries=1, at_once=1)
    server.faults = deque([status(500)])
    hand = staged(stagehand, exchange)
    played = rollouts(attempts(exchange, guess_task, 3), hand, store, Stage.COLLECT)
    ends = sorted(str(one.end) for one in played)
    assert ends == ["broken", "submitted", "submitted"]


def test_a_conversation_that_outgrows_its_model_ends_the_attempt_as_it_is(
    server: ChatServer,
    exchange: Exchange,
    stagehand: Stagehand,
    store: Store,
    guess_task: PreparedTask,
) -> None:
    exchange.endpoint = replace(exchange.endpoint, at_once=1)
    full = status(400, said="the maximum context length is 8")
    server.faults = deque([say(RUN), full])
    hand = staged(stagehand, exchange)
    (played,) = rollouts(attempts(exchange, guess_task, 1), hand, store, Stage.COLLECT)
    assert (played.end, played.failure, len(played.steps)) == (End.OUT_OF_BUDGET, None, 1)
    # What does not even fit at first is no attempt, whatever others recorded before it.
    for past in (None, played):
        server.faults = deque([full])
        (attempt,) = attempts(exchange, guess_task, 2)[1:]
        (at_once,) = rollouts([replace(attempt, past=past)], hand, store, Stage.REFLECT)
        assert (at_once.end, len(at_once.steps)) == (End.BROKEN, 0 if past is None else 1)
        assert "maximum context length" in (at_once.failure or "")


def test_a_bad_reply_of_the_expert_is_a_step_of_its_own(
    server: ChatServer,
    exchange: Exchange,
    stagehand: Stagehand,
    store: Store,
    guess_task: PreparedTask,
) -> None:
    cut = PLAN[0][:-3]
    server.faults = deque([say(cut, finish="length"), chat_server.body(b"<html>")])
    hand = staged(stagehand, exchange)
    (played,) = rollouts(attempts(exchange, guess_task, 1), hand, store, Stage.COLLECT)
    first, second = played.steps[:2]
    assert (first.completion.text, first.completion.finished) == (cut, False)
    assert first.invalid == "the action input is not JSON: Unterminated string starting at"
    assert (second.completion.text, second.action) == ("<html>", None)
    usage = exchange.ledger.usage()
    assert (usage.truncated, usage.malformed) == (1, 1)


def test_a_coder_without_code_is_our_failure_and_has_no_reward(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    talkative = ModelCoder(ScriptedModel(["Well.", "Well."], policy="talkative"))
    hand = replace(stagehand, offered=SEVEN_ACTIONS, coder=talkative)
    expert = LLMAgent(ScriptedModel([PLAN[4]]), offered=SEVEN_ACTIONS, sampling=Sampling())
    attempt = Attempt(prepared=guess_task, agent=expert, seed=0)
    (played,) = rollouts([attempt], hand, store, Stage.COLLECT)
    assert played.end is End.BROKEN
    assert played.steps == ()
    assert "ModelError: the coder talkative wrote no whole script" in (played.failure or "")
    # The same in step-wise training, which has no reward for a ModelError.
    whole = played.model_copy(update={"steps": (_step(played),)})
    reply = Reply(
        completion=Completion(text="x", policy="x"),
        action=EditScriptAI(script_name="train.py", edit_instruction="x", save_name="train.py"),
    )
    again = replace(hand, coder=ModelCoder(ScriptedModel(["Well.", "Well."])))
    with pytest.raises(ModelError):
        retry(State(whole, 0), reply, guess_task, again)


class Together:
    """A coder that answers when two have asked."""

    def __init__(self) -> None:
        self._two = threading.Barrier(2, timeout=20.0)

    def edit(self, source: str, instruction: str) -> str:
        self._two.wait()
        return source.replace("GUESS = 6.0", "GUESS = 8.0")

    def answer(self, content: str, question: str) -> str:
        self._two.wait()
        return "One column, id."


def test_a_coder_is_asked_by_all_attempts_at_once_and_holds_no_experiments_place(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    with Scheduler(at_once=1) as one_place:
        hand = replace(stagehand, offered=SEVEN_ACTIONS, coder=Together(), scheduler=one_place)
        plans = [[PLAN[4], DONE], [PLAN[2], DONE], [RUN, DONE]]
        models = [ScriptedModel(said) for said in plans]
        experts = [LLMAgent(one, offered=SEVEN_ACTIONS, sampling=Sampling()) for one in models]
        attempts = [Attempt(prepared=guess_task, agent=one, seed=0) for one in experts]
        played = rollouts(attempts, hand, store, Stage.COLLECT)
    assert [one.end for one in played] == [End.SUBMITTED] * 3
    edited, read, ran = (one.steps[0].observation.splitlines() for one in played)
    assert (edited[0], read) == ("Saved train.py.", ["One column, id."])
    assert ran[-1].startswith("Validation mae: ")


def test_actions_of_practice_ask_the_coder_at_once_too_and_its_failure_has_no_reward(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    model = ScriptedModel([RUN, DONE])
    expert = LLMAgent(model, offered=SEVEN_ACTIONS, sampling=Sampling())
    with Scheduler(at_once=1) as one_place:
        hand = replace(stagehand, offered=SEVEN_ACTIONS, coder=Together(), scheduler=one_place)
        attempt = Attempt(prepared=guess_task, agent=expert, seed=0)
        (played,) = rollouts([attempt], hand, store, Stage.COLLECT)
        actor = Actor(
            policy=cast(Policy, None),  # Nothing is sampled here.
            called=str,
            sampling=Sampling(),
            tasks={"guess": guess_task},
            stagehand=hand,
            reward="linear",
            actions=2,
            seed=0,
        )
        said = [PLAN[4], PLAN[2], RUN]
        parsed = [parse_reply(text, SEVEN_ACTIONS) for text in said]
        steps = [
            Step(prompt=(0,), completion=Completion(text=text, policy="x"), action=one.action)
            for text, one in zip(said, parsed, strict=True)
        ]
        samples = [
            Sample(update=1, trajectory=played.id, t=0, step=one, reward=None) for one in steps
        ]
        silent = replace(actor, stagehand=replace(hand, coder=ModelCoder(ScriptedModel([" "]))))
        with Batch[Sample](one_place) as running:
            for sample in samples:
                actor.try_out(running, State(played, 0), sample)
            silent.try_out(running, State(played, 0), samples[1])
            edited, read, ran, lost = running.results()
    # From an error of 4 to one of 2, where 0 is best.
    assert (edited.reward, edited.step.score) == (0.5, 2.0)
    assert (read.reward, read.step.observation) == (0.0, "One column, id.")
    assert (ran.reward, ran.step.score) == (0.0, 4.0)
    assert (lost.reward, lost.step.action) == (None, None)
    assert "ModelError: the coder scripted said nothing" in (lost.failure or "")


class Stopped(Together):
    """A coder that is asked when the user stops the run, and answers a little later."""

    answered = False

    def edit(self, source: str, instruction: str) -> str:
        time.sleep(0.3)  # Until the answer is waited for.
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)
        self.answered = True
        return source


def test_what_the_coder_is_asked_is_waited_for_when_the_run_is_stopped(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    hand = replace(stagehand, offered=SEVEN_ACTIONS, coder=(coder := Stopped()))
    expert = LLMAgent(ScriptedModel([PLAN[4]]), offered=SEVEN_ACTIONS, sampling=Sampling())
    attempt = Attempt(prepared=guess_task, agent=expert, seed=0)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            rollouts([attempt], hand, store, Stage.COLLECT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert coder.answered


def _step(played: Trajectory) -> Step:
    prompt = tuple(range(len(played.messages)))
    return Step(prompt=prompt, completion=Completion(text="x", policy="x"), action=None)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (ai_edit("x", save="data/predict.csv"), "data/ is read-only"),
        (PLAN[4].replace("train.py", "none.py"), "there is no text file 'none.py'"),
    ],
)
def test_an_impossible_instruction_is_the_policys_and_costs_nothing(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask, reply: str, reason: str
) -> None:
    silent = ScriptedModel([])
    hand = replace(stagehand, offered=SEVEN_ACTIONS, coder=ModelCoder(silent))
    expert = LLMAgent(ScriptedModel([reply, DONE]), offered=SEVEN_ACTIONS, sampling=Sampling())
    attempt = Attempt(prepared=guess_task, agent=expert, seed=0)
    (played,) = rollouts([attempt], hand, store, Stage.COLLECT)
    assert played.end is End.SUBMITTED
    assert played.steps[0].invalid == reason
    assert case_of(played.steps[0]) is Case.INVALID
    assert silent.prompts == []


@pytest.mark.parametrize(
    ("prices", "most", "asked"),
    [
        # A written token of the expert costs 1, an answer 3 and at worst 100: two fit, no third.
        ({"expert": Price(tokens_out=1e6), "coder": Price(tokens_out=1.0)}, 104.0, ["expert"] * 2),
        # One of the coder costs 1, at worst 200: the first Understand File is not asked any more.
        ({"expert": Price(tokens_out=1.0), "coder": Price(tokens_out=1e6)}, 104.0, ["expert"] * 6),
    ],
)
def test_a_spent_budget_stops_the_run_and_a_wider_one_goes_on_without_asking_twice(
    server: ChatServer,
    stagehand: Stagehand,
    store: Store,
    tmp_path: Path,
    guess_task: PreparedTask,
    prices: dict[str, Price],
    most: float,
    asked: list[str],
) -> None:
    tight = Budget(cost=most)
    with opened(server, tmp_path, tight, prices) as exchange, pytest.raises(BudgetSpent):
        hand = staged(stagehand, exchange)
        rollouts(attempts(exchange, guess_task, 2), hand, store, Stage.COLLECT)
    assert [one["model"] for one in server.asked] == asked
    exchange.ledger.close()
    assert not [one for one in store.select() if one.end is not None]
    store.discard_unfinished(Stage.COLLECT)
    with opened(server, tmp_path) as exchange:
        hand = staged(stagehand, exchange)
        played = rollouts(attempts(exchange, guess_task, 2), hand, store, Stage.COLLECT)
    exchange.ledger.close()
    assert [one.end for one in played] == [End.SUBMITTED] * 2
    assert max(server.times_asked().values()) == 1
    assert len(server.asked) == 2 * 7 + 2
