"""Requests that wait, and the one thread that has the model answer them.

The model answers one batch at a time. Whatever came meanwhile is taken together next, as far as it
agrees with the one that has waited longest on how to sample. Nobody waits for others to come.
An answer depends on its own request alone, up to rounding.
"""

import logging
import math
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol, Self

from ml_agent.core.errors import MLAgentError, ModelError, boundary
from ml_agent.core.records import Completion, Message
from ml_agent.models.contract import Model, Sampling
from ml_agent.models.serving.wire import Question, Refusal

logger = logging.getLogger(__name__)


class Answers(Model, Protocol):
    """A model that can be served: it tells what it can take.

    Sampled from by one thread alone; the rest is asked by many at once.
    """

    @property
    def context_tokens(self) -> int | None:
        """How long a prompt and its answer may be together; None: not known."""
        ...

    def prompt_tokens(self, messages: Sequence[Message]) -> int:
        """How long a conversation is as a prompt.

        Raises:
            ModelError: The model cannot be asked this.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one request, one batch and the queue may come to."""

    choices: int = 16
    """Answers to one request."""
    answer_tokens: int = 4096
    """Of one answer."""
    tokens_together: int = 65_536
    """Of one batch, all prompts and answers: bounds memory (46 KB a token for the embedded
    model)."""
    rows_together: int = 48
    """Answers of one batch."""
    waiting: int = 64
    """Requests that wait; the next one is told to come again."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    question: Question
    sampling: Sampling
    tokens: int
    """Its prompt and the longest answers to it."""
    answer: Future[list[Completion]] = field(default_factory=Future)


class Desk:
    """Takes questions and has a model answer them. Use it in a `with` statement.

    Attributes:
        answering: How many requests are being answered.
    """

    def __init__(self, model: Answers, limits: Limits | None = None) -> None:
        """Nothing is answered before the `with` block begins.

        Args:
            model: Who answers.
            limits: The figures.
        """
        self._model = model
        self._limits = limits or Limits()
        self._waiting: deque[_Waiting] = deque()
        self._came = threading.Condition()
        self._closed = False
        self._last_s = 0.0
        self.answering = 0
        # A daemon: who presses Ctrl-C twice does not want to wait for the answer under way.
        self._worker = threading.Thread(target=self._work, name="answering", daemon=True)

    def __enter__(self) -> Self:
        self._worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Turn away whoever waits, and wait for the answers under way. Harmless if called twice."""
        with self._came:
            self._closed = True
            while self._waiting:
                turned_away = self._waiting.popleft().answer
                if turned_away.set_running_or_notify_cancel():
                    turned_away.set_exception(_stopping())
            self._came.notify_all()
        self._worker.join()

    @property
    def waiting(self) -> int:
        """How many requests wait, besides those being answered."""
        with self._came:
            return sum(not one.answer.cancelled() for one in self._waiting)

    def ask(self, question: Question) -> Future[list[Completion]]:
        """Queue a question.

        Returns:
            Its answers to come; a `Refusal` if the desk closes before their turn. Cancel it when
            nobody wants them any more.

        Raises:
            Refusal: It asks for too much, or too many wait.
        """
        one = self._fitted(question)
        with self._came:
            if self._closed:
                raise _stopping()
            if self.waiting >= self._limits.waiting:
                raise Refusal(
                    f"{self.waiting} requests wait already: come again",
                    status=429,
                    code="rate_limit_exceeded",
                    again_in_s=max(1, math.ceil(self._last_s)),
                )
            self._waiting.append(one)
            self._came.notify()
        return one.answer

    def _fitted(self, question: Question) -> _Waiting:
        """The question with its longest answer settled; refused if model or limits forbid it."""
        limits, context = self._limits, self._model.context_tokens
        if question.choices > limits.choices:
            raise Refusal(f"n is {question.choices}, at most {limits.choices} here", field="n")
        try:
            prompt = self._model.prompt_tokens(question.messages)
        except ModelError as error:
            raise Refusal(
                f"the messages do not fit the model: {error}", field="messages"
            ) from error
        room = limits.tokens_together - prompt if context is None else context - prompt
        if room < (question.max_tokens or 1):
            raise Refusal(
                f"the messages are {prompt} tokens and the answer may be "
                f"{question.max_tokens or 1}, but both together may be {prompt + room}. "
                "Shorten the messages or max_tokens.",
                code="context_length_exceeded",
                field="messages",
            )
        most = max(limits.tokens_together, context or 0)
        # Not asked for: as long as it may be, with all the choices.
        longest = min(limits.answer_tokens, room, (most - prompt) // question.choices)
        wanted = question.max_tokens or max(1, longest)
        if wanted > limits.answer_tokens:
            raise Refusal(
                f"max_tokens is {wanted}, at most {limits.answer_tokens} here", field="max_tokens"
            )
        tokens = prompt + wanted * question.choices
        if tokens > most:
            raise Refusal(
                f"the messages and {question.choices} answers of {wanted} tokens come to {tokens}, "
                f"at most {most} here. Ask for fewer or shorter answers.",
                field="n",
            )
        sampling = Sampling(
            temperature=question.temperature,
            top_p=question.top_p,
            max_tokens=wanted,
            samples=question.choices,
        )
        return _Waiting(question, sampling, tokens)

    def _work(self) -> None:
        while True:
            batch = self._next_batch()
            if batch:
                self._answer(batch)
                self.answering = 0
            elif self._closed:
                return

    def _next_batch(self) -> list[_Waiting]:
        """The one that has waited longest and all that go with it; those that gave up are left."""
        with self._came:
            self._came.wait_for(lambda: self._waiting or self._closed)
            taken: list[_Waiting] = []
            left: deque[_Waiting] = deque()
            for one in self._waiting:
                if not self._goes_with(taken, one):
                    left.append(one)
                elif one.answer.set_running_or_notify_cancel():
                    taken.append(one)
            self._waiting = left
            self.answering = len(taken)
            return taken

    def _goes_with(self, taken: Sequence[_Waiting], one: _Waiting) -> bool:
        if not taken:
            return True
        rows = (len(taken) + 1) * one.sampling.samples
        tokens = one.tokens + sum(other.tokens for other in taken)
        return (
            one.sampling == taken[0].sampling
            and rows <= self._limits.rows_together
            and tokens <= self._limits.tokens_together
        )

    def _answer(self, batch: Sequence[_Waiting]) -> None:
        began = monotonic()
        try:
            with boundary(ModelError, "answering requests"):
                groups = self._model.sample(
                    [one.question.messages for one in batch],
                    batch[0].sampling,
                    seed=[one.question.seed for one in batch],
                )
        except MLAgentError as error:
            logger.error("%d requests could not be answered: %s", len(batch), error)
            for one in batch:
                one.answer.set_exception(error)
            return
        for one, answers in zip(batch, groups, strict=True):
            one.answer.set_result(answers)
        self._last_s = monotonic() - began


def _stopping() -> Refusal:
    return Refusal("the server is stopping", status=503)
