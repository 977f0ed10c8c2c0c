"""One request to a chat endpoint, and what came of it.

Covered: a reply of any size or shape, one that drips or breaks off, thoughts before the answer
(`<think>`: billed, and passed over), a redirect (not followed: the key stays here), an error that
repeats the key (masked), an error told with status 200, as gateways do that have begun to answer.
All else that comes with status 200 is an answer: it is billed, so it is kept. Not covered:
streaming, tool calls, several choices a request.
"""

import json
import math
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, Self

import httpx2

from ml_agent.core.errors import ModelError, Refused, TooLong
from ml_agent.core.records import Message
from ml_agent.models.contract import Sampling
from ml_agent.models.http.endpoint import Endpoint, Secret

Flaw = Literal["malformed", "truncated", "oversized"]

_BYTES_A_TOKEN = 64
"""No answer takes more than that for each token that was allowed, JSON included."""
_BYTES_BESIDE = 65_536
_KEPT_CHARS = 4096
"""How much is kept of a reply that cannot be read."""
_TOLD_CHARS = 300
_TOKENS_BESIDE = 256
"""What a chat template may add to a prompt."""
_TOKENS_A_MESSAGE = 32
_TOO_LONG = (
    "context_length_exceeded",  # OpenAI, and our own server
    "exceed_context_size_error",  # llama.cpp
    "maximum context length",  # vLLM
    "prompt is too long",
)
"""What is said of a prompt that a model cannot read whole: the protocol has no status for it."""
_UNSURE = frozenset({408, 502, 504})
"""Statuses behind which an answer may have been made, and billed, all the same."""
_NEVER_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
)


class Forbidden(ModelError):
    """Status 403: this prompt is not wanted, or none of ours is; which, the status does not say."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an endpoint answered with status 200."""

    text: str
    finished: bool = True
    tokens_in: int | None = None
    """None: it does not tell."""
    tokens_out: int | None = None
    flaw: Flaw | None = None


@dataclass(frozen=True, kw_only=True)
class Again:
    """No answer, but another request may get one."""

    reason: str
    unsure: bool
    """Whether the request may be billed although no answer came."""
    busy: bool = False
    """Whether it would be answered if we asked for less at a time."""
    pause_s: float | None = None
    """What the endpoint asked to wait; None: it did not."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """An error, told by a status or, with status 200, in its place."""

    status: int
    """What it is to be judged by."""
    how: str
    """How it was told."""
    said: str
    whole: str
    """All that was told of it."""
    unsure: bool
    """As of `Again`."""


def connect(endpoint: Endpoint) -> httpx2.Client:
    """A client for an endpoint; safe to share between threads."""
    return httpx2.Client(
        auth=_Bearer(endpoint.key),
        # None is kept: one that the server closes just then costs a request that may be billed, and
        # `_Alarm` hears of none but new ones.
        limits=httpx2.Limits(max_connections=endpoint.at_once, max_keepalive_connections=0),
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        follow_redirects=False,
        # A proxy must not get to see what is meant for this machine.
        trust_env=not endpoint.is_local,
    )


def body_of(
    model: str, messages: Sequence[Message], sampling: Sampling, *, seed: int, endpoint: Endpoint
) -> dict[str, Any]:
    """What is sent for one sample."""
    whole = {
        "model": model,
        "messages": [{"role": one.role, "content": one.text} for one in messages],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        endpoint.length_field: sampling.max_tokens,
        "seed": seed,
    }
    return {name: value for name, value in whole.items() if name not in endpoint.left_out}


def most_tokens_in(messages: Sequence[Message]) -> int:
    """A bound on a prompt's tokens that needs no tokenizer: none is shorter than one byte."""
    text = sum(len(one.text.encode(errors="replace")) for one in messages)
    return text + _TOKENS_A_MESSAGE * len(messages) + _TOKENS_BESIDE


def ask(
    client: httpx2.Client, endpoint: Endpoint, body: dict[str, Any], max_tokens: int
) -> Answer | Again:
    """Send one request.

    Raises:
        Refused: The endpoint will take none of our requests: the key, model or address is wrong.
        TooLong: The prompt is longer than the model can read.
        Forbidden: It does not take this one, or none.
        ModelError: It does not take this one.
    """
    url = f"{endpoint.url.rstrip('/')}/chat/completions"
    most = _BYTES_BESIDE + _BYTES_A_TOKEN * max_tokens
    waits = httpx2.Timeout(endpoint.timeout_s, connect=min(20.0, endpoint.timeout_s))
    try:
        with (
            _Alarm(endpoint.timeout_s) as alarm,
            client.stream(
                "POST", url, json=body, timeout=waits, extensions={"trace": alarm.watch}
            ) as response,
        ):
            content = b"".join(_read(response, most))
    except _NEVER_SENT as e:
        return Again(reason=_line(f"no connection: {e}", endpoint.key), unsure=False)
    except (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
        # Not chained: it may hold the header it complains of.
        raise ModelError(f"{endpoint.url} cannot be asked: {type(error).__name__}") from None
    except httpx2.TransportError as error:
        told = f"{type(error).__name__} {error}".strip()
        return Again(reason=_line(told, endpoint.key), unsure=True)
    text = endpoint.key.masked(content[:most].decode(errors="replace"))
    status = response.status_code
    if status == 200:
        came = _oversized(text) if len(content) > most else read_answer(text)
        if isinstance(came, Answer):
            # JSON may have spelled the key in another way.
            return replace(came, text=endpoint.key.masked(came.text))
    else:
        how, said = f"status {status}", _error_of(text)
        unsure = status in _UNSURE
        came = Failed(status=status, how=how, said=said, whole=text, unsure=unsure)
    pause_s = asked_pause_s(response.headers.get("retry-after"))
    return _no_answer(came, endpoint, str(body["model"]), pause_s)


def read_answer(text: str) -> Answer | Failed:
    """What a reply says. One that cannot be read is kept, and billed as far as it tells.

    Returns:
        `Failed` where it tells of an error, be it in the middle of an answer.
    """
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    told = given if isinstance(given, dict) else {}
    tokens_in, tokens_out = _billed(told.get("usage"))
    error, content = told.get("error"), ""
    try:
        choice = told["choices"][0]
        error = error or choice.get("error") or choice.get("finish_reason") == "error"
        content = _content(choice["message"]["content"])
        cut = choice.get("finish_reason") == "length"
        flaw: Flaw | None = "truncated" if cut else None
        said = _without_thoughts(content)
    except (AttributeError, LookupError, TypeError):
        said, cut, flaw = text[:_KEPT_CHARS], True, "malformed"
    if error:
        return _failed(error, begun=bool(content or tokens_in or tokens_out))
    return Answer(
        text=_storable(said),
        finished=not cut,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        flaw=flaw,
    )


def asked_pause_s(given: str | None) -> float | None:
    """What a Retry-After header asks for, seconds or a date; None: nothing that can be read."""
    if not given:
        return None
    try:
        pause_s = float(given)
    except ValueError:
        try:
            when = parsedate_to_datetime(given)
        except (ValueError, OverflowError):
            return None
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        pause_s = (when - datetime.now(UTC)).total_seconds()
    return max(0.0, pause_s) if math.isfinite(pause_s) else None


class _Bearer(httpx2.Auth):
    """Puts the key into the one header, and keeps it out of everybody else's variables."""

    def __init__(self, key: Secret) -> None:
        self._key = key

    def auth_flow(self, request: httpx2.Request) -> Iterator[httpx2.Request]:  # type: ignore[override]
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key.reveal()}"
        yield request


class _Alarm:
    """Ends an exchange in time: httpx2 bounds each wait within it, and no number of them.

    Raises:
        httpx2.ReadTimeout: Where it is left, if it was ended.
    """

    def __init__(self, after_s: float) -> None:
        self._stream: Any = None
        self._rang = False
        self._timer = threading.Timer(after_s, self._ring)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._timer.cancel()
        ended = error is None or isinstance(error, httpx2.TransportError)
        if self._rang and ended and not isinstance(error, _NEVER_SENT):
            # Also without an error: a reply that tells no length ends as its connection does.
            raise httpx2.ReadTimeout("the reply did not end in time") from None

    def watch(self, event: str, told: Mapping[str, Any]) -> None:
        """Hear how a request goes, by httpx2's extension `trace`."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._stream = told["return_value"]
            if self._rang:
                self._end()

    def _ring(self) -> None:
        self._rang = True
        self._end()

    def _end(self) -> None:
        if self._stream is not None:
            # Not the method of an SSL socket: after that one, it would go on unencrypted.
            with suppress(OSError):
                end = socket.socket.shutdown
                end(self._stream.get_extra_info("socket"), socket.SHUT_RDWR)


def _read(response: httpx2.Response, most: int) -> Iterator[bytes]:
    """A reply piece by piece, up to the first that is too much."""
    read = 0
    for piece in response.iter_raw():
        yield piece
        read += len(piece)
        if read > most:
            return


def _no_answer(came: Failed, endpoint: Endpoint, model: str, pause_s: float | None) -> Again:
    status, told = came.status, f"{came.how}: {_line(came.said, endpoint.key)}"
    if any(sign in came.whole.lower() for sign in _TOO_LONG):
        raise TooLong(
            f"{model} cannot read as much as it is asked, says {endpoint.url} with {told}. "
            "Choose a model that reads more, or allow fewer tokens."
        )
    if status in {408, 409, 425, 429} or status >= 500:
        if "insufficient_quota" in came.whole:
            raise Refused(f"{endpoint.url} refuses with {told}. Pay, or wait.")
        return Again(reason=told, unsure=came.unsure, busy=status == 429, pause_s=pause_s)
    advice = {
        401: "Give a valid key with --key-env NAME or --key-file FILE.",
        402: "Pay the bill of this account, or choose another endpoint.",
        404: f"Check the address (it ends in /v1 as a rule) and the model name {model!r}.",
    }.get(status)
    if status == 403:
        raise Forbidden(
            f"{endpoint.url} refuses with {told}. If it is not about this one prompt, "
            "give a key that may use this model, with --key-env NAME or --key-file FILE."
        )
    if 300 <= status < 400:
        advice = "It sends us elsewhere, and a key is not carried there: give the final address."
    if advice is not None:
        raise Refused(f"{endpoint.url} refuses with {told}. {advice}")
    raise ModelError(
        f"{endpoint.url} does not take a request, {told}. If it names a field, "
        "see --length-field and --leave-out in docs/experts.md."
    )


def _error_of(text: str) -> str:
    try:
        return _message_in(json.loads(text)["error"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return text


def _message_in(error: Any) -> str:
    return str(error["message"] if isinstance(error, dict) and "message" in error else error)


def _failed(error: Any, *, begun: bool) -> Failed:
    """What a reply of status 200 tells of an error.

    Args:
        error: An object with a code and a message, as a rule. True: nothing more is told.
        begun: An answer was begun; what breaks that off may pass, whatever its code.
    """
    code = error.get("code") if isinstance(error, dict) else None
    status = code if type(code) is int and 400 <= code < 600 else None
    return Failed(
        status=status if status and (status == 429 or not begun) else 502,
        how=f"status 200, but error {status}" if status else "status 200, but an error",
        said="an answer that ends in it" if error is True else _message_in(error),
        whole=json.dumps(error),
        unsure=begun or status is None or status in _UNSURE or status >= 500,
    )


def _line(text: str, key: Secret) -> str:
    """One short line without the key and without a full stop."""
    line = " ".join(_storable(key.masked(text)).split())
    return (line[:_TOLD_CHARS] or "no reason given").rstrip(".")


def _oversized(text: str) -> Answer:
    return Answer(text=_storable(text[:_KEPT_CHARS]), finished=False, flaw="oversized")


def _content(given: Any) -> str:
    if given is None:
        return ""
    if isinstance(given, str):
        return given
    return "".join(part["text"] for part in given if part.get("type") == "text")


def _without_thoughts(text: str) -> str:
    """The answer alone: what some servers put before it may rehearse many."""
    begun = text.lstrip().startswith("<think>")
    thought, ended, answer = text.partition("</think>")
    if ended and (begun or "<think>" not in thought):  # Some leave out where it begins.
        return answer.lstrip()
    return "" if begun else text


def _storable(text: str) -> str:
    """The text without half characters (lone surrogates), which no file takes."""
    return text.encode("utf-8", errors="replace").decode("utf-8")


def _billed(usage: Any) -> tuple[int | None, int | None]:
    """Tokens in and out; None: it does not tell."""
    told = usage if isinstance(usage, dict) else {}
    counts = (told.get(f"{name}_tokens") for name in ("prompt", "completion", "total"))
    came_in, went_out, whole = map(_count, counts)
    if came_in is not None and went_out is not None and whole is not None:
        # Some count thoughts in the whole alone.
        went_out = max(went_out, whole - came_in)
    return came_in, went_out


def _count(given: Any) -> int | None:
    plausible = isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= 10**9
    return given if plausible else None
