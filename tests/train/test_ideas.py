"""A scripted endpoint is asked for ideas over real HTTP; what comes is read, counted and kept."""

import json
import re
import zlib
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chat_server import TOKENS_IN, ChatServer, say, status
from ml_agent.core.errors import BudgetSpent, ModelError, UsageError
from ml_agent.core.records import Axis, Completion, Message
from ml_agent.models.http import Budget, Endpoint, Exchange, HttpModel, Ledger
from ml_agent.models.http.wire import most_tokens_in
from ml_agent.tasks import TaskPackage, find_package
from ml_agent.train.ideas import (
    IN_VAIN_AT_MOST,
    LONGEST_IDEA,
    IdeaConfig,
    TaskIdeas,
    generate_ideas,
    plain,
    read_ideas,
)

TASK = find_package("house-prices")
CONFIG = IdeaConfig(per_axis=7, batch=3, max_tokens=200)


def embed(texts: Sequence[str]) -> np.ndarray:
    """Words are directions: texts are as near as they share words."""
    rows = np.zeros((len(texts), 997))
    for row, text in zip(rows, texts, strict=True):
        for word in plain(text).split():
            row[zlib.crc32(word.encode()) % 997] += 1.0
    return rows


def axis_of(asked: dict[str, Any]) -> str:
    found = re.search(r"all about the (\w+):", asked["messages"][1]["content"])
    assert found is not None
    return found.group(1)


def there(asked: dict[str, Any]) -> list[str]:
    """What the request says is there already."""
    return re.findall(r"^- (.+)$", asked["messages"][1]["content"], re.MULTILINE)


def inventive(asked: dict[str, Any]) -> str:
    """Always something new, and no more of it than was asked for."""
    wanted = re.search(r"Write (\d+) ideas", asked["messages"][1]["content"])
    assert wanted is not None
    axis, first = axis_of(asked), len(there(asked))
    numbers = range(first, first + int(wanted.group(1)))
    return "\n".join(f"- {axis}{n} w{axis}{n}" for n in numbers)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(answer=inventive) as one:
        yield one


def ask(
    server: ChatServer,
    folder: Path,
    *,
    kept: dict[str, TaskIdeas] | None = None,
    config: IdeaConfig = CONFIG,
    budget: Budget | None = None,
    packages: Sequence[TaskPackage] = (TASK,),
    on_round: Any = lambda _: None,
    tries: int = 3,
) -> list[TaskIdeas]:
    endpoint = Endpoint(url=server.url, backoff_s=0.01, timeout_s=5.0, tries=tries, at_once=3)
    ledger = Ledger(folder / "endpoint.sqlite", budget=budget or Budget())
    try:
        with Exchange(endpoint, ledger) as exchange:
            return generate_ideas(
                packages,
                HttpModel(exchange, "thinker"),
                config,
                embed=embed,
                seed=0,
                kept=kept or {},
                on_round=on_round,
            )
    finally:
        ledger.close()


def test_as_many_as_wanted_come_on_each_axis_and_each_request_tells_what_is_there(
    server: ChatServer, tmp_path: Path
) -> None:
    other = find_package("email-spam")
    found = ask(server, tmp_path, packages=(TASK, other))
    assert [one.task for one in found] == ["house-prices", "email-spam"]
    for one in found:
        assert one.model == "thinker"
        assert {axis: len(one.axes[axis].ideas) for axis in Axis} == dict.fromkeys(Axis, 7)
        assert len({idea.text for idea in one.ideas}) == len({idea.id for idea in one.ideas}) == 21
        assert one.wanting(CONFIG) == one.open_axes(CONFIG) == []
    assert [idea.id for idea in found[0].axes[Axis.MODEL].ideas][:2] == ["model-001", "model-002"]
    assert {idea.domains for idea in found[1].ideas} == {(other.card.domain,)}
    # Seven in threes are three requests: of 3, 3 and 1.
    assert len(server.asked) == 2 * 3 * 3
    data = [
        one
        for one in server.asked
        if axis_of(one) == "data" and TASK.statement in one["messages"][1]["content"]
    ]
    assert sorted(map(there, data), key=len) == [
        [],
        [f"data{n} wdata{n}" for n in range(3)],
        [f"data{n} wdata{n}" for n in range(6)],
    ]
    text = data[0]["messages"][1]["content"]
    assert f"Metric: {TASK.card.metric.name}, lower is better." in text
    assert TASK.starter.decode().rstrip() in text


def test_bad_replies_are_counted_and_asked_again(server: ChatServer, tmp_path: Path) -> None:
    essay = "- " + "very " * 70 + "long"
    assert len(essay) > LONGEST_IDEA
    server.faults = deque(
        [
            say("I would be glad to help you with this problem."),
            say("- data50 wdata50\n- model51 wmodel51\n- half of an", finish="length"),
            say(f"{essay}\n- One"),
        ]
    )
    (one,) = ask(server, tmp_path)
    assert len(one.ideas) == 21
    chains = one.axes.values()
    # Which chain got which reply is left to the threads; each came once.
    assert sorted((chain.bad, chain.unfit) for chain in chains) == [(0, 0), (1, 0), (1, 2)]
    assert sum(chain.replies for chain in chains) == len(server.asked)
    assert not any("half of an" in idea.text for idea in one.ideas)
    assert {chain.in_vain for chain in chains} == {0}


def test_a_model_that_gives_nothing_new_is_given_up_and_what_there_is_stays(
    server: ChatServer, tmp_path: Path
) -> None:

    def poor(asked: dict[str, Any]) -> str:
        if axis_of(asked) == "learning":
            return "No."
        a = axis_of(asked)
        return f"1. {a}x {a}y alpha\n2. {a.upper()}X, {a}y: alpha!\n3. {a}x {a}y beta"

    server.answer = poor
    close = IdeaConfig(per_axis=7, batch=3, too_close=0.4)
    (one,) = ask(server, tmp_path, config=close)
    # The second is the first in other letters; the third shares 2 of 3 words: 1 - 2/3 < 0.4.
    # Two axes share 1 of 3.
    assert [idea.text for idea in one.ideas] == ["datax datay alpha", "modelx modely alpha"]
    assert one.wanting(close) == list(Axis)
    learning, data = one.axes[Axis.LEARNING], one.axes[Axis.DATA]
    assert (learning.replies, learning.bad, learning.in_vain) == (IN_VAIN_AT_MOST,) * 3
    assert data.replies == IN_VAIN_AT_MOST + 1
    assert data.repeated == 3 * data.replies - 1
    asked = len(server.asked)
    assert ask(server, tmp_path, kept={one.task: one}, config=close) == [one]
    assert len(server.asked) == asked


class Stopped(Exception):
    pass


def test_whoever_is_stopped_goes_on_without_asking_twice(
    server: ChatServer, tmp_path: Path
) -> None:
    (whole,) = ask(server, tmp_path / "whole")
    server.asked.clear()
    kept: dict[str, TaskIdeas] = {}

    def keep(changed: Sequence[TaskIdeas]) -> None:
        kept.update({one.task: one for one in changed})
        if len(server.asked) == 6:
            raise Stopped

    with pytest.raises(Stopped):
        ask(server, tmp_path, on_round=keep)
    assert len(kept[TASK.card.id].ideas) == 18
    written = {
        name: TaskIdeas.model_validate_json(one.model_dump_json()) for name, one in kept.items()
    }
    assert ask(server, tmp_path, kept=written) == [whole]
    assert set(server.times_asked().values()) == {1}
    # Killed before anything was kept: the ledger knows all of it.
    asked = len(server.asked)
    assert ask(server, tmp_path) == [whole]
    assert len(server.asked) == asked == 9


def test_a_lost_request_holds_up_no_other_chain_and_is_asked_again(
    server: ChatServer, tmp_path: Path
) -> None:
    server.faults = deque([status(500)])
    rounds: list[int] = []
    (one,) = ask(server, tmp_path, on_round=lambda told: rounds.append(len(told[0].ideas)), tries=1)
    assert rounds[0] == 6
    assert len(one.ideas) == 21


def test_a_chain_that_never_gets_an_answer_ends_the_call_when_the_others_are_done(
    server: ChatServer, tmp_path: Path
) -> None:
    """And is asked again by the next call: nothing says that the model has no new ideas."""

    def deaf(asked: dict[str, Any]) -> str:
        if "all about the data" in asked["messages"][1]["content"]:
            raise ConnectionResetError
        return inventive(asked)

    kept: dict[str, TaskIdeas] = {}
    server.answer = deaf
    with pytest.raises(ModelError, match="gave no answer"):
        ask(server, tmp_path, on_round=lambda told: kept.update({told[0].task: told[0]}), tries=1)
    (known,) = kept.values()
    assert len(known.ideas) == 14
    server.answer = inventive
    (one,) = ask(server, tmp_path, kept=kept)
    assert len(one.ideas) == 21


def test_where_every_request_of_a_round_is_lost_the_call_ends(
    server: ChatServer, tmp_path: Path
) -> None:
    server.faults = deque([status(500)] * 3)
    with pytest.raises(ModelError, match="status 500"):
        ask(server, tmp_path, tries=1)


def test_a_spent_budget_ends_it_and_a_wider_one_goes_on(server: ChatServer, tmp_path: Path) -> None:
    ask(server, tmp_path / "whole")
    first = [one["messages"] for one in server.asked if not there(one)]
    worst = max(
        most_tokens_in([Message(role=m["role"], text=m["content"]) for m in messages]) + 200
        for messages in first
    )
    server.asked.clear()
    # An answer takes 10 tokens: after two of them the worst of the third fits, and then no more.
    with pytest.raises(BudgetSpent):
        ask(server, tmp_path, budget=Budget(tokens=worst + 25))
    assert len(server.asked) == 3
    (one,) = ask(server, tmp_path)
    assert len(one.ideas) == 21
    assert set(server.times_asked().values()) == {1}
    ledger = Ledger(tmp_path / "endpoint.sqlite")
    assert ledger.usage().models["thinker"].tokens_in == 9 * TOKENS_IN
    ledger.close()


@pytest.mark.parametrize(
    ("text", "ideas"),
    [
        ("- One idea\n- Another idea", ["One idea", "Another idea"]),
        (
            "Sure!\n\n1. **Bold**: one idea\n 2) Two ideas\n(3) Three ideas",
            ["Bold: one idea", "Two ideas", "Three ideas"],
        ),
        ("* `Starred idea`\n• Dotted idea\nnot in the list", ["Starred idea", "Dotted idea"]),
        ("1. One idea\n   - why it helps\n2. Two ideas\n\t* how", ["One idea", "Two ideas"]),
        ('```json\n["First idea", "Second  idea"]\n```', ["First idea", "Second idea"]),
        (json.dumps([{"idea": "x"}]), []),
        ("Prose - with a dash.\n-1 is a number", []),
        ("", []),
        ("[" * 5000, []),
    ],
)
def test_lists_are_read_in_the_shapes_that_models_write(text: str, ideas: list[str]) -> None:
    assert list(read_ideas(Completion(text=text, policy="p")).ideas) == ideas


def test_the_last_idea_of_a_reply_that_was_cut_off_is_left_out() -> None:
    cut = Completion(text="- One idea\n- Another id", policy="p", finished=False)
    assert read_ideas(cut).ideas == ("One idea",)


@pytest.mark.parametrize(
    "wrong",
    [{"per_axis": -1}, {"batch": 0}, {"too_close": 1.0}, {"too_close": float("nan")}],
)
def test_figures_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"ideas\."):
        IdeaConfig(**wrong)


def test_ideas_are_the_same_whatever_order_the_answers_come_in(
    server: ChatServer, tmp_path: Path
) -> None:
    first = ask(server, tmp_path / "a")
    server.delay_s = 0.01
    assert ask(server, tmp_path / "b") == first
    assert Counter(idea.axis for idea in first[0].ideas) == dict.fromkeys(Axis, 7)
