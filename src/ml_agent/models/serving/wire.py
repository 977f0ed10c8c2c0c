"""What a chat request asks for, and how its answer is told: OpenAI's JSON.

Covered: text in and out, sampling, seeds, several choices, stop strings, replies as events.
Not covered and refused: what would change the answer and a policy here cannot do, as tools, images,
formats and penalties. What changes no word of it (`user`, `metadata` and the like) is passed over.
"""

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ml_agent.core.errors import UsageError
from ml_agent.core.records import Completion, Message

_NOT_COVERED = (
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "min_p",
    "presence_penalty",
    "prediction",
    "repetition_penalty",
    "response_format",
    "tools",
    "top_k",
    "top_logprobs",
)
_NEUTRAL = {"repetition_penalty": 1, "response_format": {"type": "text"}, "top_k": -1}
"""What asks for nothing, besides what is empty or zero."""
_LEAST_TEMPERATURE = 0.001
"""What is divided by less overflows."""
_SEEDS = 2**63
"""There are no more: larger and negative ones are taken modulo it."""


class Refusal(UsageError):
    """A request cannot be answered, and it is told why."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        field: str | None = None,
        again_in_s: int | None = None,
    ) -> None:
        """Say why.

        Args:
            message: What is wrong and what to do.
            status: Of HTTP.
            code: OpenAI's word for it, if there is one.
            field: Of the request, if one is to blame.
            again_in_s: After which time asking again may help; None: it will not.
        """
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field
        self.again_in_s = again_in_s


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a request asks for."""

    messages: tuple[Message, ...]
    temperature: float = 1.0
    top_p: float = 1.0
    choices: int = 1
    max_tokens: int | None = None
    """None: as many as there may be."""
    seed: int = 0
    stop: tuple[str, ...] = ()
    """An answer is cut before the first of these."""
    streamed: bool = False
    usage_streamed: bool = False


class _Read(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class _Part(_Read):
    type: Literal["text"]
    text: str


def _as_part(given: object) -> object:
    return [{"type": "text", "text": given}] if isinstance(given, str) else given


def _as_list(given: object) -> object:
    return [given] if isinstance(given, str) else given


class _Said(_Read):
    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[list[_Part], BeforeValidator(_as_part)]

    def message(self) -> Message:
        text = "".join(one.text for one in self.content)
        return Message(role="system" if self.role == "developer" else self.role, text=text)


class _Streaming(_Read):
    include_usage: bool | None = None


class _Request(_Read):
    model: str
    messages: Annotated[list[_Said], Field(min_length=1)]
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    seed: int | None = None
    stop: Annotated[list[str], BeforeValidator(_as_list), Field(max_length=4)] | None = None
    stream: bool | None = None
    stream_options: _Streaming | None = None


def read_question(body: bytes, *, policy: str) -> Question:
    """What a request asks for.

    Args:
        body: Its JSON.
        policy: The one model that is here.

    Raises:
        Refusal: It cannot be read, asks another model, or asks for what is not covered.
    """
    try:
        asked = _Request.model_validate_json(body, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or None
        raise Refusal(f"{where or 'the request'}: {first['msg']}", field=where) from error
    if asked.model != policy:
        raise Refusal(
            f"there is no model {asked.model!r} here; ask {policy!r}",
            status=404,
            code="model_not_found",
            field="model",
        )
    for name, value in sorted((asked.model_extra or {}).items()):
        if name in _NOT_COVERED and value and value != _NEUTRAL.get(name):
            raise Refusal(f"{name} is not supported here: leave it out", field=name)
    temperature = 1.0 if asked.temperature is None else asked.temperature
    if 0 < temperature < _LEAST_TEMPERATURE:
        raise Refusal(
            f"temperature is {temperature}; give 0 for the likeliest tokens, or at least "
            f"{_LEAST_TEMPERATURE}",
            field="temperature",
        )
    streaming = asked.stream_options or _Streaming()
    return Question(
        messages=tuple(one.message() for one in asked.messages),
        temperature=temperature,
        top_p=1.0 if asked.top_p is None else asked.top_p,
        choices=asked.n or 1,
        max_tokens=asked.max_completion_tokens or asked.max_tokens,
        seed=secrets.randbelow(_SEEDS) if asked.seed is None else asked.seed % _SEEDS,
        stop=tuple(one for one in asked.stop or () if one),
        streamed=bool(asked.stream),
        usage_streamed=bool(streaming.include_usage),
    )


def whole_reply(question: Question, answers: Sequence[Completion], *, policy: str) -> bytes:
    """The reply to a request."""
    choices = [
        {
            "index": place,
            "message": {"role": "assistant", "content": text},
            "logprobs": None,
            "finish_reason": reason,
        }
        for place, (text, reason) in enumerate(_told(question, answers))
    ]
    whole = _head("chat.completion", policy) | {"choices": choices, "usage": _usage(answers)}
    return json.dumps(whole).encode()


def event_reply(
    question: Question, answers: Sequence[Completion], *, policy: str
) -> Iterator[bytes]:
    """The same as server-sent events, each answer in one piece."""
    head = _head("chat.completion.chunk", policy)

    def event(choices: list[dict[str, Any]], **beside: Any) -> bytes:
        return b"data: " + json.dumps(head | {"choices": choices} | beside).encode() + b"\n\n"

    for place, (text, reason) in enumerate(_told(question, answers)):
        said = {"role": "assistant", "content": text}
        yield event([{"index": place, "delta": said, "finish_reason": None}])
        yield event([{"index": place, "delta": {}, "finish_reason": reason}])
    if question.usage_streamed:
        yield event([], usage=_usage(answers))
    yield b"data: [DONE]\n\n"


def model_list(policy: str, began: int) -> bytes:
    """The models that are here: one."""
    return json.dumps({"object": "list", "data": [model_card(policy, began)]}).encode()


def model_card(policy: str, began: int) -> dict[str, Any]:
    """What is told of a model.

    Args:
        policy: Its name.
        began: When serving it began, in seconds since 1970.
    """
    return {"id": policy, "object": "model", "created": began, "owned_by": "ml-agent"}


def error_reply(refusal: Refusal) -> bytes:
    """A refusal, as OpenAI tells it."""
    error = {
        "message": str(refusal),
        "type": "server_error" if refusal.status >= 500 else "invalid_request_error",
        "param": refusal.field,
        "code": refusal.code,
    }
    return json.dumps({"error": error}).encode()


def _head(kind: str, policy: str) -> dict[str, Any]:
    name = f"chatcmpl-{secrets.token_hex(12)}"
    return {"id": name, "object": kind, "created": int(time.time()), "model": policy}


def _told(question: Question, answers: Sequence[Completion]) -> Iterator[tuple[str, str]]:
    """Text and reason to end of each answer."""
    for answer in answers:
        places = [answer.text.find(one) for one in question.stop if one in answer.text]
        ended = answer.finished or bool(places)
        yield answer.text[: min(places, default=None)], "stop" if ended else "length"


def _usage(answers: Sequence[Completion]) -> dict[str, int]:
    """Tokens of the prompt, once for all choices, and of all that was written."""
    tokens_in = answers[0].prompt_tokens or 0
    tokens_out = sum(len(one.token_ids) for one in answers)
    return {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
    }
