"""A model behind our own chat server: real HTTP, asked as other programs ask."""

import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ml_agent.core.errors import UsageError
from ml_agent.core.records import Completion, Message
from ml_agent.models import Sampling
from ml_agent.models.http import Budget, Endpoint, Exchange, HttpModel, Ledger, Secret
from ml_agent.models.local import LocalModel
from ml_agent.models.serving import Limits, serving

KEY = "sk-secret-0123456789"
PROMPT = [Message(role="system", text="You are terse."), Message(role="user", text="Say it.")]
MESSAGES = [{"role": one.role, "content": one.text} for one in PROMPT]


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def texts(self) -> list[str]:
        assert self.status == 200, self.body
        return [one["message"]["content"] for one in self.json["choices"]]


def ask(url: str, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    came = connection.getresponse()
    reply = Reply(came.status, dict(came.getheaders()), came.read())
    connection.close()
    return reply


def chat(url: str, **asked: Any) -> Reply:
    whole = {"model": "tiny", "messages": MESSAGES, "max_tokens": 8} | asked
    kind = "application/json"
    return ask(url, "POST", "/v1/chat/completions", json.dumps(whole).encode(), Content_Type=kind)


@contextmanager
def served(model: LocalModel, **options: Any) -> Iterator[str]:
    with serving(model, **options) as server:
        loop = threading.Thread(target=server.serve_forever, args=(0.02,))
        loop.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            loop.join()


class Gated(LocalModel):
    """Answers when it is let, and notes which prompts it was asked together."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.batches: list[list[str]] = []
        self.gate = threading.Event()

    def sample(
        self,
        prompts: Sequence[Sequence[Message]],
        sampling: Sampling,
        *,
        seed: int | Sequence[int],
    ) -> list[list[Completion]]:
        self.batches.append([prompt[-1].text for prompt in prompts])
        assert self.gate.wait(60)
        return super().sample(prompts, sampling, seed=seed)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LocalModel:
    """What is expected; the server has one of its own."""
    return LocalModel.load(str(tiny_model), policy="tiny")


@pytest.fixture(scope="module")
def url(tiny_model: Path) -> Iterator[str]:
    with served(LocalModel.load(str(tiny_model), policy="tiny")) as one:
        yield one


@pytest.fixture
def gated(tiny_model: Path) -> LocalModel:
    return Gated.load(str(tiny_model), policy="tiny")


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_answer_is_what_the_model_says_for_the_same_seed(url: str, model: LocalModel) -> None:
    came = chat(url, temperature=0.8, top_p=0.9, n=3, seed=7, max_tokens=12)
    sampling = Sampling(temperature=0.8, top_p=0.9, max_tokens=12, samples=3)
    (expected,) = model.sample([PROMPT], sampling, seed=[7])
    assert came.texts == [one.text for one in expected]
    assert came.json["object"] == "chat.completion"
    assert came.json["model"] == "tiny"
    tokens_in = expected[0].prompt_tokens
    tokens_out = sum(len(one.token_ids) for one in expected)
    assert tokens_in is not None
    assert came.json["usage"] == {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
    }
    assert chat(url, seed=8, n=3).texts != chat(url, seed=9, n=3).texts


def test_an_answer_that_ended_its_turn_is_told_apart_from_one_cut_off(tiny_model: Path) -> None:
    own = LocalModel.load(str(tiny_model), policy="tiny")
    sampling = Sampling(max_tokens=12, samples=16)
    # Every twelfth token ends a turn, so that some answers end within twelve tokens.
    own._chat.stops = frozenset(range(0, 260, 12))
    expected = own.sample([PROMPT], sampling, seed=[1])[0]
    with served(own) as at:
        came = chat(at, n=16, seed=1, max_tokens=12)
    reasons = [one["finish_reason"] for one in came.json["choices"]]
    assert reasons == ["stop" if one.finished else "length" for one in expected]
    assert set(reasons) == {"stop", "length"}


def test_our_own_client_plays_with_it(url: str, model: LocalModel, tmp_path: Path) -> None:
    sampling = Sampling(temperature=0.7, max_tokens=10)
    ledger = Ledger(tmp_path / "endpoint.sqlite", budget=Budget())
    with Exchange(Endpoint(url=url), ledger) as exchange:
        (came,) = HttpModel(exchange, "tiny").sample([PROMPT], sampling, seed=3)[0]
    # What the client makes of its seed: see `Exchange`.
    (expected,) = model.sample([PROMPT], sampling, seed=[3_000_009])[0]
    used = ledger.usage().models["tiny"]
    ledger.close()
    assert came.text == expected.text
    assert (came.policy, came.finished) == ("tiny", expected.finished)
    assert (used.tokens_in, used.tokens_out) == (expected.prompt_tokens, len(expected.token_ids))
    assert (used.answers, used.malformed, used.unsure) == (1, 0, 0)


def test_what_is_asked_at_once_is_answered_together_and_as_if_alone(
    gated: Gated, model: LocalModel
) -> None:
    asked = [
        ("first", {"seed": 1}),
        ("second", {"seed": 2}),
        ("greedy", {"temperature": 0}),
        ("third", {"seed": 3}),
    ]
    with served(gated) as at, ThreadPoolExecutor(8) as pool:
        coming = []
        for number, (text, options) in enumerate(asked):
            said = [{"role": "user", "content": text}]
            coming.append(pool.submit(chat, at, messages=said, **options))
            # The first is at the model, the others wait in this order.
            until(lambda n=number: bool(gated.batches) and health(at)["waiting"] == n)
        gated.gate.set()
        texts = [one.result().texts for one in coming]
    assert gated.batches == [["first"], ["second", "third"], ["greedy"]]
    for (text, options), came in zip(asked, texts, strict=True):
        sampling = Sampling(temperature=options.get("temperature", 1.0), max_tokens=8)
        prompt = [[Message(role="user", text=text)]]
        ((expected,),) = model.sample(prompt, sampling, seed=[options.get("seed", 0)])
        assert came == [expected.text]


def health(url: str) -> Any:
    return ask(url, "GET", "/health").json


def test_a_batch_holds_no_more_than_its_limits(gated: Gated) -> None:
    limits = Limits(rows_together=4)
    with served(gated, limits=limits) as at, ThreadPoolExecutor(8) as pool:
        coming = []
        for number in range(4):
            said = [{"role": "user", "content": str(number)}]
            coming.append(pool.submit(chat, at, messages=said, n=2))
            until(lambda n=number: bool(gated.batches) and health(at)["waiting"] == n)
        gated.gate.set()
        assert all(len(one.result().texts) == 2 for one in coming)
    assert gated.batches == [["0"], ["1", "2"], ["3"]]


def test_one_too_many_is_told_to_come_again(gated: Gated) -> None:
    with served(gated, limits=Limits(waiting=1)) as at, ThreadPoolExecutor(8) as pool:
        coming = [pool.submit(chat, at)]
        until(lambda: bool(gated.batches))
        coming.append(pool.submit(chat, at))
        until(lambda: health(at)["waiting"] == 1)
        refused = chat(at)
        assert (refused.status, refused.json["error"]["code"]) == (429, "rate_limit_exceeded")
        assert refused.headers["Retry-After"] == "1"
        gated.gate.set()
        assert [one.result().status for one in coming] == [200, 200]


@pytest.mark.parametrize("linger", [None, struct.pack("ii", 1, 0)], ids=["closed", "reset"])
def test_nothing_is_computed_for_who_went_away(gated: Gated, linger: bytes | None) -> None:
    body = json.dumps({"model": "tiny", "messages": MESSAGES, "max_tokens": 8}).encode()
    with served(gated) as at, ThreadPoolExecutor(8) as pool:
        first = pool.submit(chat, at)
        until(lambda: bool(gated.batches))
        gone = http.client.HTTPConnection(at.split("/")[2])
        gone.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        until(lambda: health(at) == {"status": "ok", "answering": 1, "waiting": 1})
        if linger is not None:
            gone.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        gone.close()
        until(lambda: health(at)["waiting"] == 0)
        gated.gate.set()
        assert first.result().status == 200
        assert chat(at).status == 200
    assert len(gated.batches) == 2


def test_closing_finishes_what_is_under_way_and_turns_away_who_waits(gated: Gated) -> None:
    with ThreadPoolExecutor(8) as pool:
        with served(gated) as at:
            under_way = pool.submit(chat, at)
            until(lambda: bool(gated.batches))
            waiting = pool.submit(chat, at)
            until(lambda: health(at)["waiting"] == 1)
            threading.Timer(0.3, gated.gate.set).start()
        assert under_way.result().status == 200
        refused = waiting.result()
    assert (refused.status, refused.json["error"]["type"]) == (503, "server_error")
    assert len(gated.batches) == 1
    with pytest.raises(ConnectionRefusedError):
        chat(at)


def test_an_answer_is_cut_before_a_stop_string(url: str, model: LocalModel) -> None:
    (whole,) = model.sample([PROMPT], Sampling(temperature=0, max_tokens=12), seed=0)[0]
    stop = whole.text[4:6]
    came = chat(url, temperature=0, max_tokens=12, stop=["never said", stop])
    assert came.texts == [whole.text[: whole.text.index(stop)]]
    assert came.json["choices"][0]["finish_reason"] == "stop"
    assert came.json["usage"]["completion_tokens"] == len(whole.token_ids)


def test_events_say_what_the_whole_reply_says(url: str) -> None:
    options: dict[str, Any] = {"n": 2, "seed": 5}
    whole = chat(url, **options)
    came = chat(url, **options, stream=True, stream_options={"include_usage": True})
    assert came.headers["Content-Type"] == "text/event-stream"
    *events, done = came.body.decode().strip().split("\n\n")
    assert done == "data: [DONE]"
    chunks = [json.loads(one.removeprefix("data: ")) for one in events]
    texts, reasons = ["", ""], [None, None]
    for chunk in chunks:
        assert chunk["object"] == "chat.completion.chunk"
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["delta"].get("content", "")
            reasons[choice["index"]] = choice["finish_reason"]
    assert texts == whole.texts
    assert reasons == ["length", "length"]
    assert chunks[-1]["usage"] == whole.json["usage"]


def test_a_reply_is_made_of_parts_and_unset_fields_are_as_left_out(
    url: str, model: LocalModel
) -> None:
    said = [{"role": "developer", "content": [{"type": "text", "text": "You are "}]}, MESSAGES[1]]
    said[0]["content"].append({"type": "text", "text": "terse."})
    came = chat(
        url,
        messages=said,
        max_tokens=None,
        max_completion_tokens=9,
        temperature=0,
        top_p=None,
        tools=[],
        response_format={"type": "text"},
        logprobs=False,
        user="me",
    )
    (expected,) = model.sample([PROMPT], Sampling(temperature=0, max_tokens=9), seed=0)[0]
    assert came.texts == [expected.text]


def test_an_answer_of_no_given_length_may_fill_the_context(url: str, model: LocalModel) -> None:
    came = chat(url, max_tokens=None, temperature=0)
    # The tiny network takes 512 tokens, and greedily it never ends.
    assert came.json["usage"]["total_tokens"] == 512
    assert came.json["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("asked", "status", "field", "said"),
    [
        ({"model": "gpt"}, 404, "model", "there is no model 'gpt' here; ask 'tiny'"),
        ({"messages": []}, 400, "messages", "at least 1 item"),
        ({"messages": [{"role": "tool", "content": "x"}]}, 400, "messages.0.role", "Input should"),
        ({"messages": [{"role": "user", "content": 3}]}, 400, "messages.0.content", "valid array"),
        ({"temperature": 2.1}, 400, "temperature", "less than or equal to 2"),
        ({"temperature": float("nan")}, 400, "temperature", "less than or equal to 2"),
        ({"temperature": 1e-9}, 400, "temperature", "give 0"),
        ({"top_p": 0}, 400, "top_p", "greater than 0"),
        ({"max_tokens": 0}, 400, "max_tokens", "greater than or equal to 1"),
        ({"max_tokens": "8"}, 400, "max_tokens", "valid integer"),
        ({"max_tokens": 480}, 400, "messages", "both together may be 512"),
        ({"n": 17}, 400, "n", "n is 17, at most 16 here"),
        ({"stop": ["a"] * 5}, 400, "stop", "at most 4 items"),
        ({"tools": [{"type": "function"}]}, 400, "tools", "not supported here: leave it out"),
        ({"frequency_penalty": 0.5}, 400, "frequency_penalty", "not supported"),
        ({"response_format": {"type": "json_object"}}, 400, "response_format", "not supported"),
    ],
)
def test_what_cannot_be_done_is_refused_in_openais_words(
    url: str, asked: dict[str, Any], status: int, field: str, said: str
) -> None:
    refused = chat(url, **asked)
    error = refused.json["error"]
    assert refused.status == status
    assert said in error["message"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == field


def test_too_long_a_prompt_is_refused_with_the_word_that_tools_look_for(url: str) -> None:
    refused = chat(url, messages=[{"role": "user", "content": "x" * 600}], max_tokens=None)
    assert (refused.status, refused.json["error"]["code"]) == (400, "context_length_exceeded")


def test_more_answers_than_go_together_are_refused(tiny_model: Path) -> None:
    own = LocalModel.load(str(tiny_model), policy="tiny")
    with served(own, limits=Limits(tokens_together=400, answer_tokens=100)) as at:
        assert "max_tokens is 101, at most 100" in chat(at, max_tokens=101).json["error"]["message"]
        assert "at most 512 here" in chat(at, max_tokens=90, n=6).json["error"]["message"]
        assert chat(at, max_tokens=80, n=4).status == 200


PATH = "/v1/chat/completions"
JSON = {"Content_Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "said"),
    [
        ("POST", PATH, b"{", JSON, 400, "Invalid JSON"),
        ("POST", PATH, b'{"model": "\\ud800"}', JSON, 400, "hex escape"),
        ("POST", PATH, b"\xff", JSON, 400, "Invalid JSON"),
        ("POST", PATH, b"[" * 100_000, JSON, 400, "Invalid JSON"),
        ("POST", PATH, b"{}", {}, 415, "Content-Type: application/json"),
        ("POST", PATH, b"x" * (5 << 20), JSON, 413, "5242880 bytes long"),
        ("POST", PATH, b"{}", {"Host": "evil.example", **JSON}, 403, "ask for localhost"),
        ("POST", "/v1/completions", b"{}", JSON, 404, "nothing at /v1/completions"),
        ("GET", PATH, None, {}, 404, "there are POST /v1/chat/completions"),
        ("GET", "/health", None, {"Host": "[::1]:8000"}, 200, ""),
        ("PUT", PATH, b"{}", JSON, 501, "Unsupported method"),
    ],
)
def test_what_is_no_request_is_told_so_in_json(
    url: str,
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
    status: int,
    said: str,
) -> None:
    came = ask(url, method, path, body, **headers)
    assert came.status == status, came.body
    assert status == 200 or said in came.json["error"]["message"]
    assert came.headers["Connection"] == "close"


def test_a_request_of_unknown_length_is_refused_and_one_cut_short_passed_over(url: str) -> None:
    host, port = url.split("/")[2].split(":")

    def raw(said: bytes) -> bytes:
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(4096), b""))

    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
    assert b" 411 " in raw(head + b"\r\n").splitlines()[0]
    assert b" 411 " in raw(head + b"Content-Length: -1\r\n\r\n").splitlines()[0]
    assert raw(head + b"Content-Length: 10\r\n\r\n{}") == b""
    assert b'{"error": ' in raw(b"nonsense\r\n\r\n")
    assert chat(url).status == 200


def test_a_key_is_asked_for_everything_but_health(tiny_model: Path) -> None:
    own = LocalModel.load(str(tiny_model), policy="tiny")
    with served(own, key=Secret(KEY)) as at:
        refused = chat(at)
        assert (refused.status, refused.json["error"]["code"]) == (401, "invalid_api_key")
        wrong = ask(at, "GET", "/v1/models", Authorization="Bearer sk-wrong")
        assert wrong.status == 401
        assert KEY not in refused.body.decode() + wrong.body.decode()
        assert ask(at, "GET", "/v1/models", Authorization=f"Bearer {KEY}").status == 200
        assert health(at) == {"status": "ok", "answering": 0, "waiting": 0}


def test_the_one_model_is_listed(url: str) -> None:
    listed = ask(url, "GET", "/v1/models").json
    assert listed["object"] == "list"
    assert [one["id"] for one in listed["data"]] == ["tiny"]
    assert ask(url, "GET", "/v1/models/tiny?x=1").json == listed["data"][0]
    assert ask(url, "GET", "/v1/models/other").status == 404


def test_a_model_that_fails_costs_one_request_and_not_the_server(tiny_model: Path) -> None:
    own = LocalModel.load(str(tiny_model), policy="tiny")
    with served(own) as at:
        own.retire()
        failed = chat(at)
        assert failed.status == 500
        assert failed.json["error"]["type"] == "server_error"
        assert "the weights of tiny have changed" in failed.json["error"]["message"]
        own._retired = False
        assert chat(at).status == 200


def test_a_port_that_is_taken_is_the_callers_mistake(tiny_model: Path) -> None:
    own = LocalModel.load(str(tiny_model), policy="tiny")
    with served(own) as at:
        taken = int(at.split(":")[2].split("/")[0])
        with pytest.raises(UsageError, match="with --host or --port"), serving(own, port=taken):
            pass
