"""A model behind real HTTP: what the server does wrong costs time, never an answer or a bill."""

import json
import logging
import os
import pickle
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

import chat_server
from chat_server import TOKENS_IN, TOKENS_OUT, ChatServer, body, say, status
from ml_agent.core.errors import BudgetSpent, ModelError, Refused, StoreError, TooLong, UsageError
from ml_agent.core.records import Completion, Message
from ml_agent.models import Sampling
from ml_agent.models.http import (
    Budget,
    Endpoint,
    Exchange,
    HttpModel,
    Ledger,
    Price,
    Secret,
    read_key,
)
from ml_agent.models.http.pace import Pace
from ml_agent.models.http.wire import Forbidden, asked_pause_s, most_tokens_in, read_answer

KEY = "sk-very/secret-0123456789"
SHORT = Sampling(max_tokens=10)
WORST = 256 + 32 + len("Hello?") + SHORT.max_tokens
"""Tokens charged before "Hello?" is asked: what a template may add, and a byte a token."""
TOLD = TOKENS_IN + TOKENS_OUT


def prompt(text: str = "Hello?") -> list[Message]:
    return [Message(role="user", text=text)]


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer() as one:
        yield one


@pytest.fixture
def books(tmp_path: Path) -> Path:
    return tmp_path / "endpoint.sqlite"


Opened = Callable[..., HttpModel]


@pytest.fixture
def opened(server: ChatServer, books: Path) -> Iterator[Opened]:
    """Makes the model anew, on the same books: as a run does that is taken up again."""
    closing: list[Exchange] = []

    def make(
        *, budget: Budget | None = None, prices: dict[str, Price] | None = None, **figures: object
    ) -> HttpModel:
        quick = Endpoint(url=server.url, key=Secret(KEY), backoff_s=0.01, timeout_s=30.0)
        ledger = Ledger(books, budget=budget or Budget(), prices=prices)
        closing.append(Exchange(replace(quick, **figures), ledger))
        return HttpModel(closing[-1], "tiny")

    yield make
    for exchange in closing:
        exchange.close()
        exchange.ledger.close()


def said(model: HttpModel, text: str = "Hello?", seed: int = 0) -> Completion:
    (came,) = model.sample_each([prompt(text)], SHORT, seeds=[seed])
    assert isinstance(came, Completion), came
    return came


def test_it_keeps_the_contract_of_a_model(server: ChatServer, opened: Opened) -> None:
    server.answer = lambda asked: f"{asked['messages'][0]['content']} {asked['seed']}"
    model = opened()
    groups = model.sample(
        [prompt("a"), prompt("b"), prompt("a")], replace(SHORT, samples=2), seed=1
    )
    texts = [[one.text for one in group] for group in groups]
    first = 1_000_003
    # Equal prompts of one call are drawn apart; other prompts start anew.
    assert texts == [
        [f"a {first}", f"a {first + 1}"],
        [f"b {first}", f"b {first + 1}"],
        [f"a {first + 2}", f"a {first + 3}"],
    ]
    assert groups[0][0] == Completion(
        text=f"a {first}", policy="tiny", prompt_tokens=TOKENS_IN, finished=True
    )
    assert server.asked[0]["model"] == "tiny"
    assert server.asked[0]["max_tokens"] == SHORT.max_tokens
    assert {one["Authorization"] for one in server.headers} == {f"Bearer {KEY}"}


@pytest.mark.parametrize(
    ("fault", "unsure"),
    [
        (status(429, Retry_After="0"), False),
        (status(500), False),
        (status(503), False),
        (status(504), True),
        (chat_server.reset, True),
        (chat_server.broken_off, True),
        (chat_server.silent, True),
        (chat_server.dripping, True),
        (chat_server.dripping_headers, True),
        (body(b'{"error": {"code": 502, "message": "gone"}, "choices": []}'), True),
        (body(b'{"error": "gone"}'), True),
        (say("half of", finish="error"), True),
        (body(b'{"choices": [{"message": {"content": "half"}, "error": {"code": 502}}]}'), True),
    ],
)
def test_what_goes_wrong_on_the_way_is_asked_again_and_billed_once(
    server: ChatServer, opened: Opened, fault: chat_server.Behaviour, unsure: bool
) -> None:
    server.faults = deque([fault])
    model = opened(timeout_s=0.4)
    assert said(model).text == "yes"
    usage = model._exchange.ledger.usage()
    assert (usage.requests, usage.answers, usage.retries) == (2, 1, 1)
    assert (usage.tokens_in, usage.tokens_out) == (TOKENS_IN, TOKENS_OUT)
    # What may have been billed all the same stays charged to the budget, and is told apart.
    assert (usage.unsure, usage.unsure_tokens) == ((1, WORST) if unsure else (0, 0))
    assert said(model).text == "yes"
    assert len(server.asked) == 2


def test_nobody_waits_for_an_answer_beyond_the_moment_that_was_named(
    server: ChatServer, opened: Opened
) -> None:
    server.faults = deque([chat_server.silent])
    model = opened(timeout_s=60.0)
    model._exchange.wait_until(time.monotonic() + 0.4)
    (came,) = model.sample_each([prompt("Hello?")], SHORT, seeds=[0])
    assert isinstance(came, ModelError)
    # It is not sent again, and it may be billed.
    assert len(server.asked) == 1
    assert model._exchange.ledger.usage().unsure == 1
    model._exchange.wait_until(time.monotonic() + 60)
    assert said(model).text == "yes"


def test_an_error_that_comes_as_an_answer_is_told_and_may_say_that_we_ask_too_much(
    server: ChatServer, opened: Opened
) -> None:
    busy = body(b'{"error": {"code": 429, "message": "too fast"}}')
    server.faults = deque([busy, busy, body(f'{{"error": "no {KEY}."}}'.encode())])
    (lost,) = opened(tries=1).sample_each([prompt()], SHORT, seeds=[0])
    assert "no answer to 3 requests, last: status 200, but an error: no ***. See" in str(lost)
    whole = '{"error": null, "choices": [{"error": null, "message": {"content": "yes"}}]}'
    assert read_answer(whole).text == "yes"


ERROR = {"code": 429, "message": "too fast"}


@pytest.mark.parametrize(
    ("reply", "unsure"),
    [
        ({"error": ERROR}, False),
        ({"error": ERROR, "choices": [{"message": {"content": None}}]}, False),
        ({"choices": [{"message": {"content": ""}, "error": ERROR}]}, False),
        ({"choices": [{"message": {"content": "half"}, "error": ERROR}]}, True),
        ({"choices": [{"message": {"content": "half"}, "error": {"code": 400}}]}, True),
        ({"error": ERROR, "usage": {"prompt_tokens": 7, "completion_tokens": 0}}, True),
        ({"error": {"code": 503}, "choices": [{"message": {"content": None}}]}, True),
    ],
)
def test_an_error_that_comes_as_an_answer_is_charged_only_if_it_may_have_cost_something(
    server: ChatServer, opened: Opened, reply: dict[str, Any], unsure: bool
) -> None:
    server.faults = deque([body(json.dumps(reply).encode())])
    model = opened()
    assert said(model).text == "yes"
    assert model._exchange.ledger.usage().unsure_tokens == (WORST if unsure else 0)


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        ({"code": 400, "message": "maximum context length is 8"}, TooLong, "error 400: maximum"),
        ({"code": "context_length_exceeded", "message": "Shorten it"}, TooLong, "Shorten it"),
        ({"code": 400, "message": "no such field"}, ModelError, "see --length-field"),
        ({"code": 401, "message": f"bad {KEY}"}, Refused, r"bad \*\*\*\. Give a valid key"),
        ({"code": 402, "message": "no means"}, Refused, "Pay the bill"),
        ({"code": "insufficient_quota", "message": "buy more"}, Refused, "Pay, or wait"),
    ],
)
def test_an_error_that_comes_as_an_answer_is_judged_as_if_its_code_were_the_status(
    server: ChatServer, opened: Opened, error: dict[str, Any], kind: type[Exception], told: str
) -> None:
    server.faults = deque([body(json.dumps({"error": error}).encode())] * 6)
    with pytest.raises(kind, match=told) as caught:
        opened().sample([prompt()], SHORT, seed=0)
    assert caught.type is kind
    assert len(server.asked) == 1


def test_a_server_that_names_a_pause_gets_it_from_all(server: ChatServer, opened: Opened) -> None:
    server.faults = deque([status(429, Retry_After="0.6")])
    arrived: dict[str, float] = {}

    def answer(asked: dict[str, Any]) -> str:
        arrived.setdefault(asked["messages"][0]["content"], time.monotonic())
        time.sleep(0.2)
        return "yes"

    server.answer = answer
    began = time.monotonic()
    # Two at once: one is put off, one is answered, and the third would come next.
    came = opened(at_once=2).sample_each([prompt(one) for one in "abc"], SHORT, seeds=[0] * 3)
    assert [one.text for one in came if isinstance(one, Completion)] == ["yes"] * 3
    assert len(server.asked) == 4
    assert arrived["c"] - began >= 0.6


def test_a_server_that_wants_too_long_a_pause_is_not_waited_for(
    server: ChatServer, opened: Opened
) -> None:
    server.faults = deque([status(429, Retry_After="3600")])
    (came,) = opened().sample_each([prompt()], SHORT, seeds=[0])
    assert isinstance(came, ModelError)
    assert "asks to wait 3600 s (status 429: not now)" in str(came)


def test_a_pause_is_read_from_seconds_and_from_a_date() -> None:
    assert asked_pause_s("1.5") == 1.5
    assert asked_pause_s("-3") == 0.0
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 28 < (asked_pause_s(later) or 0) <= 30
    never = "Wed, 21 Oct 99999999999 07:28:00 GMT"
    assert [asked_pause_s(one) for one in (None, "", "soon", "nan", "inf", never)] == [None] * 6


def test_a_server_that_never_answers_breaks_that_attempt_and_no_other(
    server: ChatServer, opened: Opened
) -> None:
    model = opened(tries=2, at_once=1)
    server.faults = deque([status(500, said="no luck."), status(500, said="no luck.")])
    lost, came = model.sample_each([prompt("a"), prompt("b")], SHORT, seeds=[0, 0])
    assert isinstance(came, Completion)
    assert isinstance(lost, ModelError)
    assert "gave no answer to 2 requests, last: status 500: no luck. See that" in str(lost)
    assert said(model, "a").text == "yes"


LONG = "x" * 200_000


@pytest.mark.parametrize(
    ("fault", "kept", "flaw", "billed"),
    [
        (say("cut", finish="length"), "cut", "truncated", TOLD),
        (body(b"<html>gateway</html>"), "<html>gateway</html>", "malformed", WORST),
        (body(b'{"choices": []}'), '{"choices": []}', "malformed", WORST),
        (body(b"[" * 50_000), "[" * 4096, "malformed", WORST),
        (body(b"\xff\xfe"), "\ufffd\ufffd", "malformed", WORST),
        (body(b'{"usage": {"prompt_tokens": 2, "completion_tokens": 5}}'), None, "malformed", 7),
        (chat_server.flooding, "x" * 4096, "oversized", WORST),
        (body(b"x" * 4090 + KEY.encode()), "x" * 4090 + "***", "malformed", WORST),
        (say(LONG), chat_server.reply(LONG).decode()[:4096], "oversized", WORST),
    ],
)
def test_a_bad_reply_is_billed_kept_and_counted(
    server: ChatServer,
    opened: Opened,
    fault: chat_server.Behaviour,
    kept: str | None,
    flaw: str,
    billed: int,
) -> None:
    server.faults = deque([fault])
    model = opened()
    came = said(model)
    assert not came.finished
    assert kept is None or came.text == kept
    usage = model._exchange.ledger.usage()
    assert (usage.requests, usage.answers, usage.tokens_in + usage.tokens_out) == (1, 1, billed)
    flaws = {name: getattr(usage, name) for name in ("malformed", "truncated", "oversized")}
    assert flaws == dict.fromkeys(flaws, 0) | {flaw: 1}
    assert said(model) == came
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "usage", [{}, "none", {"prompt_tokens": -1}, {"prompt_tokens": 10**30, "completion_tokens": 1}]
)
def test_an_answer_without_a_bill_costs_the_most_it_can(
    server: ChatServer, opened: Opened, usage: object
) -> None:
    server.faults = deque([say("yes", usage=usage)])
    model = opened()
    said(model)
    used = model._exchange.ledger.usage()
    assert used.untold == 1
    assert used.tokens_in == WORST - SHORT.max_tokens


@pytest.mark.parametrize(
    ("whole", "out"), [(507, 500), (10, 3), (8, 3), (None, 3), ("507", 3), (10**30, 3)]
)
def test_thoughts_that_are_counted_in_the_whole_alone_are_billed(whole: object, out: int) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": whole}
    read = read_answer(chat_server.reply("yes", usage=usage).decode())
    assert (read.tokens_in, read.tokens_out) == (7, out)


def test_half_a_character_and_an_answer_in_parts_are_read() -> None:
    assert read_answer('{"choices": [{"message": {"content": "a\\ud800b"}}]}').text == "a?b"
    parts = '[{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]'
    assert read_answer(f'{{"choices": [{{"message": {{"content": {parts}}}}}]}}').text == "ab"
    nothing = read_answer('{"choices": [{"message": {"content": null}, "finish_reason": "stop"}]}')
    assert (nothing.text, nothing.finished, nothing.flaw) == ("", True, None)


def test_a_prompt_is_charged_no_less_than_a_byte_a_token() -> None:
    messages = [Message(role="system", text="äh"), Message(role="user", text="日本")]
    assert most_tokens_in(messages) == 3 + 6 + 2 * 32 + 256


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (401, "--key-env NAME or --key-file FILE"),
        (403, "--key-env NAME or --key-file FILE"),
        (404, "model name 'tiny'"),
        (307, "give the final address"),
    ],
)
def test_what_the_endpoint_refuses_ends_the_run_with_one_line(
    server: ChatServer, opened: Opened, number: int, advice: str
) -> None:
    server.faults = deque([status(number, said=f"bad {KEY}\nindeed", Location="http://x.example")])
    model = opened(at_once=1)
    with pytest.raises(Refused) as refused:
        model.sample_each([prompt("a"), prompt("b")], SHORT, seeds=[0, 0])
    assert f"status {number}: bad *** indeed" in str(refused.value)
    assert advice in str(refused.value)
    assert "\n" not in str(refused.value)
    # The second was not sent any more, and nothing is to pay.
    assert len(server.asked) == 1
    assert model._exchange.ledger.usage().cost == 0.0


def test_three_different_questions_that_are_not_taken_end_the_run(
    server: ChatServer, opened: Opened
) -> None:
    said_so = status(400, said="max_tokens is not supported")
    server.faults = deque([said_so] * 4)
    model = opened(at_once=1)
    for _ in range(2):
        (lost,) = model.sample_each([prompt("a")], SHORT, seeds=[0])
        assert type(lost) is ModelError
    (lost,) = model.sample_each([prompt("b")], SHORT, seeds=[0])
    assert type(lost) is ModelError
    with pytest.raises(Refused, match=r"not supported.*--length-field and --leave-out"):
        model.sample_each([prompt("c"), prompt("d")], SHORT, seeds=[0, 0])
    assert len(server.asked) == 4


def test_limits_by_the_minute_are_waited_for_by_all_and_are_no_failed_tries(
    server: ChatServer, opened: Opened
) -> None:
    server.faults = deque([status(429)] * 9)
    model = opened(tries=2, at_once=1)
    assert said(model).text == "yes"
    assert len(server.asked) == 10
    # While one is held back, nobody else asks.
    server.asked.clear()
    server.faults = deque([status(429, Retry_After="0.5")])
    began = time.monotonic()
    assert len(opened(at_once=2).sample_each([prompt("c"), prompt("d")], SHORT, seeds=[0, 0])) == 2
    assert time.monotonic() - began >= 0.5
    server.faults = deque([status(429)] * 9)
    (lost,) = opened(busy_s=0.0).sample_each([prompt("b")], SHORT, seeds=[0])
    assert "gave no answer to 1 requests, last: status 429: not now" in str(lost)


def test_a_request_that_the_budget_held_up_is_counted_from_when_it_was_sent(
    server: ChatServer, opened: Opened
) -> None:
    server.delay_s = 0.3
    model = opened(budget=Budget(tokens=WORST + TOLD + 1), at_once=2, requests_per_minute=9)
    assert len(model.sample_each([prompt("Hello."), prompt()], SHORT, seeds=[0, 0])) == 2
    first, second = sorted(one.moment for one in model._exchange._pace._drawn)
    assert second - first >= 0.3


def test_an_account_without_means_ends_the_run(server: ChatServer, opened: Opened) -> None:
    server.faults = deque([status(429, said="insufficient_quota: buy more")])
    with pytest.raises(Refused, match="insufficient_quota"):
        said(opened())


def test_what_an_endpoint_does_not_take_is_left_out(server: ChatServer, opened: Opened) -> None:
    said(opened(left_out=("temperature", "seed"), length_field="max_completion_tokens"))
    assert set(server.asked[0]) == {"model", "messages", "top_p", "max_completion_tokens"}
    with pytest.raises(UsageError, match="messages cannot be left out"):
        opened(left_out=("messages",))


def test_thoughts_before_an_answer_are_no_answer() -> None:
    def read(said: str) -> str:
        return read_answer(chat_server.reply(said).decode()).text

    thought = "\nAction: Final Answer\n</think>\n\nAction: List Files"
    assert read("<think>" + thought) == "Action: List Files"
    # Some templates begin the thought in the prompt.
    assert read(thought) == "Action: List Files"
    assert read("<think>Action: Final Answer") == ""
    assert read("Compare <think> with </think>") == "Compare <think> with </think>"


@pytest.mark.parametrize("spelled", [KEY, KEY.replace("/", r"\/")])
def test_a_key_is_masked_as_json_spells_it_too(spelled: str) -> None:
    assert Secret(KEY).masked(f"a{spelled}b") == "a***b"
    assert Secret('sk-"quoted"').masked(r"sk-\"quoted\"") == "***"


def test_what_was_asked_before_a_price_was_known_is_priced_when_it_is(
    server: ChatServer, opened: Opened
) -> None:
    said(opened())
    price = Price(tokens_in=1e6, tokens_out=2e6)
    usage = opened(prices={"tiny": price})._exchange.ledger.usage()
    assert usage.cost == TOKENS_IN + 2 * TOKENS_OUT


@pytest.mark.parametrize("number", [400, 403])
def test_one_request_that_is_not_taken_after_others_were_breaks_one_attempt(
    server: ChatServer, opened: Opened, number: int
) -> None:
    model = opened(at_once=1)
    said(model, "first")
    server.faults = deque([status(number, said="your input was flagged")])
    lost, came = model.sample_each([prompt("a"), prompt("b")], SHORT, seeds=[0, 0])
    assert isinstance(lost, ModelError)
    assert "your input was flagged" in str(lost)
    assert isinstance(came, Completion)


def test_a_key_that_stops_working_ends_the_run_after_three_questions(
    server: ChatServer, opened: Opened
) -> None:
    said(opened(), "first")
    # Taken up again: the books know of an answer, but nobody has had one since.
    model = opened(at_once=1)
    forbidden = status(403, said="Key limit exceeded")
    server.faults = deque([forbidden, forbidden, forbidden, say("yes"), *[forbidden] * 4])
    came = model.sample_each([prompt(text) for text in "aabc"], SHORT, seeds=[0, 1, 0, 0])
    assert [type(one) for one in came[:3]] == [Forbidden] * 3  # Two questions.
    assert isinstance(came[3], Completion)
    with pytest.raises(Refused, match=r"Key limit exceeded.*give a key"):
        model.sample_each([prompt(text) for text in "defg"], SHORT, seeds=[0] * 4)
    assert len(server.asked) == 8


@pytest.mark.parametrize(
    "told",
    [
        {"message": "Shorten it.", "code": "context_length_exceeded"},
        {"message": "13 tokens are more than 8", "type": "exceed_context_size_error"},
        {"message": "This model's maximum context length is 8 tokens. You asked for 13."},
    ],
)
def test_a_prompt_that_a_model_cannot_read_whole_ends_no_run_however_often(
    server: ChatServer, opened: Opened, told: dict[str, str]
) -> None:
    said_so = body(json.dumps({"error": told}).encode(), status=400)
    server.faults = deque([said_so] * 4)
    model = opened(at_once=1)
    for text in "abcd":
        (lost,) = model.sample_each([prompt(text)], SHORT, seeds=[0])
        assert type(lost) is TooLong
        assert told["message"].rstrip(".") in str(lost)
    assert said(model, "e")


def test_a_second_run_on_the_same_books_is_free(server: ChatServer, opened: Opened) -> None:
    price = {"tiny": Price(tokens_in=1e6, tokens_out=2e6)}
    texts, seeds = ["a", "b", "c", "a"], [0, 0, 0, 1]
    prompts = [prompt(text) for text in texts]
    first = opened(prices=price).sample_each(prompts, SHORT, seeds=seeds)
    asked = len(server.asked)
    again = opened(prices=price)
    assert again.sample_each(prompts, SHORT, seeds=seeds) == first
    assert (asked, len(server.asked)) == (4, 4)
    usage = again._exchange.ledger.usage()
    assert (usage.answers, usage.cache_hits) == (4, 4)
    assert usage.cost == 4 * (TOKENS_IN * 1 + TOKENS_OUT * 2)
    assert usage.models["tiny"].cost == usage.cost


@pytest.mark.parametrize(
    "other",
    [
        {"text": "Hello!"},
        {"seed": 1},
        {"sampling": replace(SHORT, temperature=0.5)},
        {"sampling": replace(SHORT, max_tokens=11)},
        {"sampling": replace(SHORT, top_p=0.9)},
        {"name": "tiny-2"},
        {"role": "system"},
    ],
)
def test_only_the_very_same_question_is_answered_from_the_books(
    server: ChatServer, opened: Opened, other: dict[str, object]
) -> None:
    model = opened()
    asked: dict[str, object] = {
        "text": "Hello?",
        "seed": 0,
        "sampling": SHORT,
        "name": "tiny",
        "role": "user",
    }
    for given in (asked, asked, asked | other):
        messages = [Message(role=given["role"], text=given["text"])]
        HttpModel(model._exchange, str(given["name"])).sample_each(
            [messages], given["sampling"], seeds=[given["seed"]]
        )
    assert len(server.asked) == 2


def test_no_proxy_is_shown_what_is_meant_for_this_machine(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert said(opened()).text == "yes"


def test_the_same_question_at_the_same_moment_is_sent_once(
    server: ChatServer, opened: Opened
) -> None:
    server.delay_s = 0.2
    model = opened()
    came = model.sample_each([prompt()] * 8, SHORT, seeds=[0] * 8)
    assert len(server.asked) == 1
    assert all(one == came[0] for one in came)


def test_no_more_requests_are_out_than_allowed(server: ChatServer, opened: Opened) -> None:
    server.delay_s = 0.05
    model = opened(at_once=3)
    model.sample_each([prompt(str(n)) for n in range(12)], SHORT, seeds=[0] * 12)
    assert (len(server.asked), server.most_out) == (12, 3)


ALIKE = [prompt(f"Hell{n}") for n in range(10, 90)]
"""Eighty questions as long as "Hello?"."""
EACH_1 = {"tiny": Price(tokens_in=1e6, tokens_out=1e6)}
"""A token costs 1, so that money and tokens are the same number."""


@pytest.mark.parametrize("limit", ["tokens", "cost"])
@pytest.mark.parametrize(
    ("told", "room", "answers"),
    [
        # What is told is little: one worst case must fit beside nine answers, not beside ten.
        ({"prompt_tokens": 7, "completion_tokens": 3}, WORST + 9 * TOLD, 10),
        # Every answer costs the worst: five fit, and not even nearly a sixth.
        ({"prompt_tokens": WORST - 10, "completion_tokens": 10}, 6 * WORST - 1, 5),
    ],
)
def test_a_budget_holds_with_eight_requests_at_once(
    server: ChatServer, opened: Opened, told: dict[str, int], room: int, answers: int, limit: str
) -> None:
    server.delay_s = 0.02 if answers == 10 else 0.2
    server.faults = deque([say("yes", usage=told)] * len(ALIKE))
    budget = Budget(tokens=room) if limit == "tokens" else Budget(cost=float(room))
    model = opened(budget=budget, prices=EACH_1)
    with pytest.raises(BudgetSpent, match="nothing that was answered is asked again"):
        model.sample_each(ALIKE, SHORT, seeds=[0] * len(ALIKE))
    usage = model._exchange.ledger.usage()
    assert usage.answers == len(server.asked) == answers
    assert usage.tokens_in + usage.tokens_out == answers * sum(told.values()) <= room
    assert usage.cost == usage.tokens_in + usage.tokens_out
    assert (1 < server.most_out <= 5) if answers == 5 else server.most_out == 1

    server.delay_s = 0.0
    wider = opened(budget=Budget(tokens=len(ALIKE) * WORST))
    wider.sample_each(ALIKE, SHORT, seeds=[0] * len(ALIKE))
    assert len(server.asked) == len(ALIKE)
    assert max(server.times_asked().values()) == 1


def test_requests_that_fit_together_are_out_together_and_no_more(
    server: ChatServer, opened: Opened
) -> None:
    server.delay_s = 0.1
    model = opened(budget=Budget(tokens=3 * WORST))
    model.sample_each([prompt(f"Hell{n}?") for n in range(8)], SHORT, seeds=[0] * 8)
    assert server.most_out == 3
    assert len(server.asked) == 8


def test_a_lost_request_stays_charged_to_the_budget(server: ChatServer, opened: Opened) -> None:
    server.faults = deque([chat_server.reset])
    model = opened(budget=Budget(tokens=2 * WORST - 1))
    with pytest.raises(BudgetSpent):
        model.sample_each([prompt()], SHORT, seeds=[0])
    assert len(server.asked) == 1
    with pytest.raises(BudgetSpent):
        opened(budget=Budget(tokens=2 * WORST - 1)).sample_each([prompt()], SHORT, seeds=[0])


def test_a_limit_of_money_needs_every_price_and_free_is_one(books: Path) -> None:
    paid, free = Price(tokens_in=1.0), Price()
    for prices in (None, {}, {"expert": None}, {"expert": paid, "coder": None}):
        with pytest.raises(UsageError, match="--price IN:OUT"):
            Ledger(books, budget=Budget(cost=1.0), prices=prices)
    Ledger(books, budget=Budget(cost=1.0), prices={"expert": paid, "coder": free}).close()
    for nothing in (0.0, -1.0, float("nan")):
        with pytest.raises(UsageError, match="allows nothing"):
            Budget(cost=nothing)


def test_books_of_another_version_or_damaged_are_an_error_of_ours(books: Path) -> None:
    import sqlite3

    Ledger(books).close()
    with sqlite3.connect(books) as db:
        db.execute("UPDATE meta SET schema_version=99")
    db.close()
    with pytest.raises(StoreError, match="schema version 99"):
        Ledger(books)
    books.write_bytes(b"no database, " * 100)
    with pytest.raises(StoreError, match="opening in"):
        Ledger(books)


def test_asked_to_stop_nothing_further_is_sent_and_what_is_out_is_kept(
    server: ChatServer, opened: Opened
) -> None:
    model = opened(at_once=2)
    server.delay_s = 0.3
    threading.Timer(0.1, model._exchange.stop).start()
    came = model.sample_each([prompt(str(n)) for n in range(6)], SHORT, seeds=[0] * 6)
    assert [isinstance(one, Completion) for one in came] == [True] * 2 + [False] * 4
    assert len(server.asked) == 2
    assert model._exchange.ledger.usage().answers == 2


def test_limits_by_the_minute_that_the_user_tells_are_kept_by_all_together(
    server: ChatServer, opened: Opened
) -> None:
    arrived = []

    def answer(asked: dict[str, Any]) -> str:
        arrived.append(time.monotonic())
        return "yes"

    server.answer = answer
    model = opened()
    # A minute of this clock is 0.6 s.
    model._exchange._pace = Pace(requests=2, tokens=None, clock=lambda: 100 * time.monotonic())
    began = time.monotonic()
    came = model.sample_each(ALIKE[:5], SHORT, seeds=[0] * 5)
    assert all(isinstance(one, Completion) for one in came)
    assert len(server.asked) == 5
    assert arrived[2] - began >= 0.6
    assert arrived[4] - began >= 1.2


def test_tokens_of_a_minute_are_counted_as_they_are_told(
    server: ChatServer, opened: Opened
) -> None:
    model = opened(tokens_per_minute=WORST + 9 * TOLD)

    def answer(asked: dict[str, Any]) -> str:
        if len(server.asked) == 10:
            threading.Timer(0.3, model._exchange.stop).start()
        return "yes"

    server.answer = answer
    came = model.sample_each(ALIKE, SHORT, seeds=[0] * len(ALIKE))
    # One worst case fits beside nine answers, not beside ten.
    assert sum(isinstance(one, Completion) for one in came) == len(server.asked) == 10
    assert server.most_out == 1


@pytest.mark.parametrize("end", ["a stop", "a deadline"])
def test_who_waits_for_a_minute_to_pass_is_not_held_by_it(
    server: ChatServer, opened: Opened, end: str
) -> None:
    model = opened(requests_per_minute=1, at_once=3)
    if end == "a stop":
        threading.Timer(0.5, model._exchange.stop).start()
    else:
        model._exchange.wait_until(time.monotonic() + 0.5)
    came = model.sample_each(ALIKE[:5], SHORT, seeds=[0] * 5)
    assert sum(isinstance(one, Completion) for one in came) == len(server.asked) == 1
    lost = {str(one) for one in came if isinstance(one, ModelError)}
    assert lost == {"stopped before a request was sent"}


def test_a_refusal_is_heard_by_those_who_wait_for_a_minute_to_pass(
    server: ChatServer, opened: Opened
) -> None:
    server.faults = deque([status(401)])
    with pytest.raises(Refused):
        opened(requests_per_minute=1).sample_each(ALIKE[:5], SHORT, seeds=[0] * 5)
    assert len(server.asked) == 1


def test_ctrl_c_ends_the_pauses_too(server: ChatServer, opened: Opened) -> None:
    server.faults = deque([status(503)] * 100)
    model = opened(at_once=2, backoff_s=60.0)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupt = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    try:
        interrupt.start()
        with pytest.raises(KeyboardInterrupt):
            model.sample_each([prompt(str(n)) for n in range(6)], SHORT, seeds=[0] * 6)
    finally:
        interrupt.join()
        signal.signal(signal.SIGINT, before)
    assert len(server.asked) <= 6
    assert max(server.times_asked().values()) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://models.example/v1",
        "http://192.168.0.7:8000/v1",
        "http://localhost.example/v1",
        "ftp://models.example",
        "models.example/v1",
        "",
        "https://",
        f"https://models.example:{KEY}/v1",
        f"https://[{KEY}/v1",
        f"https://user:{KEY}@models.example/v1",
        f"https://models.example/v1?key={KEY}",
    ],
)
def test_an_address_where_a_key_is_not_safe_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        Endpoint(url=url)
    assert KEY not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["https://models.example/v1", "http://localhost:8000/v1", "http://[::1]:8000/v1"]
)
def test_an_address_on_this_machine_or_encrypted_is_taken(url: str) -> None:
    assert Endpoint(url=url).url == url
    assert Endpoint(url="http://10.0.0.1/v1", any_http=True).any_http


def test_a_key_is_read_from_where_the_user_says_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "never asked for")
    assert not read_key()
    monkeypatch.setenv("MINE", f" {KEY}\n")
    assert read_key(env="MINE").reveal() == KEY
    (tmp_path / "key").write_text(f"{KEY}\n")
    assert read_key(file=str(tmp_path / "key")).reveal() == KEY
    (tmp_path / "two").write_text(f"{KEY}\n{KEY}")
    (tmp_path / "none").write_text("\n")
    wrong = [{"env": "ABSENT"}, {"file": str(tmp_path / "no")}, {"env": "MINE", "file": "x"}]
    for given in (*wrong, {"file": str(tmp_path / "two")}, {"file": str(tmp_path / "none")}):
        with pytest.raises(UsageError) as refused:
            read_key(**given)
        assert KEY not in str(refused.value)


def test_a_key_is_in_no_text_log_exception_or_file(
    server: ChatServer, opened: Opened, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = Secret(KEY)
    texts = [f"{secret}", repr(secret), repr(Endpoint(url=server.url, key=secret))]
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    escaped = KEY.replace("/", "\\/")
    server.faults = deque(
        [
            say(f"your key is {KEY}"),
            body(reply_with(escaped)),
            body(KEY.encode()),
            status(500, said=f"wrong {KEY}"),
        ]
    )
    model = opened(at_once=1, tries=1)
    texts += [said(model, str(number)).text for number in range(3)]
    assert texts[3:] == ["your key is ***", "so ***", "***"]
    (lost,) = model.sample_each([prompt("x")], SHORT, seeds=[0])
    assert isinstance(lost, ModelError)
    texts += traceback.format_exception(lost)
    server.faults = deque([status(401, said=KEY)])
    with pytest.raises(Refused) as refused:
        said(model, "y")
    texts += traceback.format_exception(refused.value)
    assert {one["Authorization"] for one in server.headers} == {f"Bearer {KEY}"}
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b"your key is ***" in content for content in files)
    for content in (*files, caplog.text.encode(), *(text.encode() for text in texts)):
        assert KEY.encode() not in content
        assert escaped.encode() not in content


def reply_with(escaped: str) -> bytes:
    return b'{"choices": [{"message": {"content": "so ' + escaped.encode() + b'"}}]}'
