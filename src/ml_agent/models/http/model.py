"""A `Model` behind an endpoint: asked once, many at a time, patiently.

Covered: the same question (address, model, messages, sampling, seed, sample) is sent once, also by
two threads at the same moment, and is answered from the ledger ever after. A request that fails
(5xx) or is lost (a broken connection, no reply in time) is sent again after a pause that doubles,
drawn at random so that many do not come back at once. Limits by the minute are waited for: those
that the user tells, and where a 429 tells of one, it holds back all requests and is no failed try.
Asked to stop, nothing further is sent; what is on its way has been paid for, so it is waited for.
"""

import hashlib
import json
import logging
import math
import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from typing import Self

from ml_agent.core.errors import EndsRun, ModelError, Refused, TooLong
from ml_agent.core.records import Completion, Message
from ml_agent.models.contract import Sampling
from ml_agent.models.http.endpoint import Endpoint
from ml_agent.models.http.ledger import Ledger, Reservation
from ml_agent.models.http.pace import Drawn, Pace
from ml_agent.models.http.wire import (
    Again,
    Answer,
    Forbidden,
    ask,
    body_of,
    connect,
    most_tokens_in,
)

logger = logging.getLogger(__name__)

_LONGEST_BACKOFF_S = 60.0
_LOOK_AGAIN_S = 0.1
_LEAST_S = 0.1
"""A request that is sent is waited for so long at least."""
_REFUSED_AFTER = 3
"""One question may hold what a model does not take that takes others."""
_SEEDS = 2**31  # Every server takes seeds below this.


@dataclass(frozen=True, kw_only=True)
class Question:
    """What decides an answer."""

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    seed: int
    sample: int = 0
    """Which of several answers to the same."""

    def key(self, url: str) -> str:
        """Its name in the ledger: sha256 of all of it and the address."""
        asked = [
            url,
            self.model,
            [[one.role, one.text] for one in self.messages],
            [self.sampling.temperature, self.sampling.top_p, self.sampling.max_tokens],
            self.seed,
            self.sample,
        ]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


class Exchange:
    """All that is asked of one endpoint in one run, by whatever model's name."""

    def __init__(
        self, endpoint: Endpoint, ledger: Ledger, *, stopped: Callable[[], bool] = lambda: False
    ) -> None:
        """Nothing is sent yet.

        Args:
            endpoint: Who is asked.
            ledger: The books; they are not closed with this.
            stopped: Whether the user wants to stop; asked in every pause.
        """
        self.endpoint = endpoint
        self.ledger = ledger
        self._client = connect(endpoint)
        self._gate = threading.BoundedSemaphore(endpoint.at_once)
        self._turn = threading.Lock()
        self._pace = Pace(requests=endpoint.requests_per_minute, tokens=endpoint.tokens_per_minute)
        self._lock = threading.Lock()
        self._asking: dict[str, tuple[threading.Lock, int]] = {}
        self._not_before = 0.0
        self._refused: Refused | None = None
        self._not_taken: dict[str, set[tuple[Message, ...]]] = defaultdict(set)
        self._forbidden: dict[str, set[tuple[Message, ...]]] = defaultdict(set)
        self._stop = threading.Event()
        self._asked_to_stop = stopped
        self._until = math.inf

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Calling it twice is harmless."""
        self._client.close()

    def wait_until(self, moment: float) -> None:
        """Wait for answers no longer than this, as `time.monotonic` tells it.

        After it, whoever waits for one gets a `ModelError`.
        """
        self._until = moment

    def stop(self) -> None:
        """Send nothing further: whoever waits for it gets a `ModelError`."""
        self._stop.set()

    def answer(self, question: Question) -> Completion:
        """The answer to a question, from the ledger if it was ever answered.

        Raises:
            ModelError: There is none to be had now.
            EndsRun: There will be none to any: the budget is spent, or we are refused.
        """
        key = question.key(self.endpoint.url)
        with self._alone(key):
            found = self.ledger.find(key, question.model)
            return self._ask(question, key) if found is None else found

    def _ask(self, question: Question, key: str) -> Completion:
        tries = busy = 0
        busy_since = math.inf
        while True:
            with self._gate:
                came = self._once(question, key, tries + busy + 1)
            if isinstance(came, Completion):
                return came
            logger.info("%s puts us off: %s", self.endpoint.url, came.reason)
            tries, busy = (tries, busy + 1) if came.busy else (tries + 1, busy)
            if came.busy:
                busy_since = min(busy_since, monotonic())
            if tries == self.endpoint.tries or monotonic() - busy_since >= self.endpoint.busy_s:
                raise ModelError(
                    f"{self.endpoint.url} gave no answer to {tries + busy} requests, last: "
                    f"{came.reason}. See that the server is up, ask less of it at once "
                    "(--requests-at-once), and run the same command again; what was answered is "
                    "kept."
                )
            self._rest(self._pause_s(came, busy if came.busy else tries))

    def _once(self, question: Question, key: str, attempt: int) -> Completion | Again:
        sampling, tokens_in = question.sampling, most_tokens_in(question.messages)
        drawn = self._in_turn(tokens_in + sampling.max_tokens)
        reserved = self.ledger.reserve(
            key,
            question.model,
            tokens_in=tokens_in,
            tokens_out=sampling.max_tokens,
            attempt=attempt,
            stopped=self._stopped,
        )
        body = body_of(
            question.model,
            question.messages,
            sampling,
            seed=(1_000_003 * question.seed + question.sample) % _SEEDS,
            endpoint=self.endpoint,
        )
        self._pace.send(drawn)
        left_s = max(_LEAST_S, self._until - monotonic())
        patient = replace(self.endpoint, timeout_s=min(self.endpoint.timeout_s, left_s))
        try:
            came = ask(self._client, patient, body, sampling.max_tokens)
        except (Refused, ModelError) as error:
            self.ledger.lose(reserved, str(error), unsure=False)
            raise self._judged(error, question) from None
        except BaseException as error:
            self.ledger.lose(reserved, type(error).__name__, unsure=True)
            raise
        if isinstance(came, Again):
            self.ledger.lose(reserved, came.reason, unsure=came.unsure)
            return came
        self._forbidden.pop(question.model, None)
        if came.tokens_in is not None and came.tokens_out is not None:
            # What is not answered stays as it was drawn: it may count there too.
            drawn.tokens = came.tokens_in + came.tokens_out
        return self._noted(reserved, question, came)

    def _in_turn(self, tokens: int) -> Drawn:
        """Rest for limits by the minute, told by the user or by the endpoint.

        Args:
            tokens: The most that is then asked for.
        """
        # All rest for the same limit, and not all should come back at the same moment.
        later = random.uniform(0, self.endpoint.backoff_s)

        def moment() -> float:
            held = self._not_before and self._not_before + later
            return max(held, monotonic() + self._pace.wait_s(tokens))

        with self._turn:
            self._rest_until(moment)
            return self._pace.draw(tokens)

    def _noted(self, reserved: Reservation, question: Question, came: Answer) -> Completion:
        completion = Completion(
            text=came.text,
            policy=question.model,
            prompt_tokens=came.tokens_in,
            finished=came.finished,
        )
        self.ledger.settle(
            reserved,
            completion,
            tokens_in=came.tokens_in,
            tokens_out=came.tokens_out,
            flaw=came.flaw,
        )
        return completion

    def _judged(self, error: Refused | ModelError, question: Question) -> Refused | ModelError:
        """Whether it is this one question that is not taken, or every one: that ends the run.

        Every one, if three different ones are not taken and none ever was; one that is forbidden is
        enough then, if no other is out. After an answer it may be about what was asked, as filters
        say so too; but three that are forbidden with none between them are about the key.
        """
        if isinstance(error, TooLong):
            return error
        name, is_forbidden = question.model, isinstance(error, Forbidden)
        with self._lock:
            not_taken, forbidden = self._not_taken[name], self._forbidden[name]
            not_taken.add(question.messages)
            if is_forbidden:
                forbidden.add(question.messages)
        used = self.ledger.usage().models.get(name)
        # One that is out may yet be answered.
        is_new = (used is None or not used.answers) and not self.ledger.is_asking(name)
        enough = 1 if is_forbidden else _REFUSED_AFTER
        is_over = len(forbidden) >= _REFUSED_AFTER or (is_new and len(not_taken) >= enough)
        if isinstance(error, ModelError) and is_over:
            error = Refused(str(error))
        if isinstance(error, Refused):
            self._refused = error
        return error

    def _pause_s(self, came: Again, time: int) -> float:
        """How long to rest before the next request.

        Args:
            came: What came of the last one.
            time: How often it has been that by now.
        """
        longest = min(_LONGEST_BACKOFF_S, self.endpoint.backoff_s * 2 ** (time - 1))
        pause_s = random.uniform(0, longest)
        if came.busy:
            self._not_before = max(self._not_before, monotonic() + pause_s)
        if came.pause_s is not None:
            longest_s = self.endpoint.busy_s if came.busy else self.endpoint.longest_pause_s
            if came.pause_s > longest_s:
                raise ModelError(
                    f"{self.endpoint.url} asks to wait {came.pause_s:.0f} s ({came.reason}). Run "
                    "the same command again then; what was answered is kept."
                )
            self._not_before = max(self._not_before, monotonic() + came.pause_s)
            pause_s += came.pause_s
        return pause_s

    def _rest(self, pause_s: float) -> None:
        moment = monotonic() + pause_s
        self._rest_until(lambda: moment)

    def _rest_until(self, moment: Callable[[], float]) -> None:
        """Rest until then; it may be put off meanwhile."""
        while True:
            if self._stopped():
                raise ModelError("stopped before a request was sent")
            if self._refused is not None:
                raise self._refused
            left = moment() - monotonic()
            if left <= 0:
                return
            self._stop.wait(min(left, _LOOK_AGAIN_S))

    def _stopped(self) -> bool:
        return self._stop.is_set() or self._asked_to_stop() or monotonic() >= self._until

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """Nobody else asks the same meanwhile."""
        with self._lock:
            lock, users = self._asking.get(key, (threading.Lock(), 0))
            self._asking[key] = (lock, users + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, users = self._asking.pop(key)
                if users > 1:
                    self._asking[key] = (lock, users - 1)


class HttpModel:
    """One model of an endpoint. Keeps the contract of `models.contract.Model`."""

    def __init__(self, exchange: Exchange, name: str) -> None:
        """Name the model; nothing is sent yet."""
        self.policy = name
        self._exchange = exchange

    def sample(
        self,
        prompts: Sequence[Sequence[Message]],
        sampling: Sampling,
        *,
        seed: int | Sequence[int],
    ) -> list[list[Completion]]:
        """See `Model`. Equal prompts of one call get answers of their own.

        Raises:
            ModelError: One of them could not be answered; the others' answers are kept.
            EndsRun: The budget is spent, or the endpoint refuses us.
        """
        asked: Counter[tuple[Message, ...]] = Counter()
        questions = []
        seeds = [seed] * len(prompts) if isinstance(seed, int) else seed
        for messages, own in zip(map(tuple, prompts), seeds, strict=True):
            for _ in range(sampling.samples):
                number = asked[messages]
                questions.append(self._question(messages, sampling, own, number))
                asked[messages] += 1
        answers = []
        for came in self._answers(questions):
            if isinstance(came, ModelError):
                raise came
            answers.append(came)
        each = sampling.samples
        return [answers[first : first + each] for first in range(0, len(answers), each)]

    def sample_each(
        self, prompts: Sequence[Sequence[Message]], sampling: Sampling, *, seeds: Sequence[int]
    ) -> list[Completion | ModelError]:
        """One answer to each prompt, drawn by its own seed whatever else is asked with it.

        Returns:
            In the prompts' order; an error where that one could not be answered.

        Raises:
            EndsRun: The budget is spent, or the endpoint refuses us.
        """
        return self._answers(
            [
                self._question(tuple(messages), sampling, seed, 0)
                for messages, seed in zip(prompts, seeds, strict=True)
            ]
        )

    def _question(
        self, messages: tuple[Message, ...], sampling: Sampling, seed: int, sample: int
    ) -> Question:
        return Question(
            model=self.policy, messages=messages, sampling=sampling, seed=seed, sample=sample
        )

    def _answers(self, questions: Sequence[Question]) -> list[Completion | ModelError]:
        """All answers; what ends a run is raised when nothing is on its way any more."""
        if not questions:
            return []
        at_once = min(len(questions), self._exchange.endpoint.at_once)
        with ThreadPoolExecutor(at_once, thread_name_prefix="endpoint") as pool:
            futures = [pool.submit(partial(self._exchange.answer, one)) for one in questions]
            try:
                errors = [future.exception() for future in futures]
            except BaseException:
                # Ctrl-C: what is on its way is waited for, as the pool is left.
                self._exchange.stop()
                for future in futures:
                    future.cancel()
                raise
        for error in sorted(filter(None, errors), key=lambda one: not isinstance(one, EndsRun)):
            if not isinstance(error, ModelError):
                raise error
        return [_outcome(future) for future in futures]


def _outcome(future: "Future[Completion]") -> Completion | ModelError:
    error = future.exception()
    return error if isinstance(error, ModelError) else future.result()
