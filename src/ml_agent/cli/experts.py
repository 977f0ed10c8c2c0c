"""A language model as expert and coder: from the command line to an open exchange with it."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ml_agent.agents import EndpointAgent
from ml_agent.cli.interrupts import asked_to_stop
from ml_agent.cli.recipes import ExpertConfig, Recipe
from ml_agent.core.errors import MLAgentError, UsageError
from ml_agent.core.records import Message
from ml_agent.env import ModelCoder
from ml_agent.models import Sampling
from ml_agent.models.http import (
    Budget,
    Endpoint,
    Exchange,
    HttpModel,
    Ledger,
    Price,
    Secret,
    Usage,
)
from ml_agent.models.http.ledger import check_prices
from ml_agent.models.http.model import Question
from ml_agent.store import RunFolder, write_json

_TINY = (Message(role="user", text="Answer with the one word yes."),)


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How an endpoint is asked. No part of a run's configuration: it decides no answer."""

    endpoint: Endpoint
    budget: Budget
    prices: Mapping[str, Price | None]
    """By model; None: not known."""

    def __post_init__(self) -> None:
        """Refuse what cannot be kept to.

        Raises:
            UsageError: Money is limited, and a price is not known.
        """
        check_prices(self.budget, self.prices)


def read_asking(
    expert: ExpertConfig,
    *,
    key: Secret,
    price: str = "",
    coder_price: str = "",
    budget: Budget,
    at_once: int,
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
    timeout_s: float,
    any_http: bool,
) -> Asking:
    """What the command line says of how to ask.

    Args:
        expert: Who is asked.
        key: The endpoint's.
        price: IN:OUT, what a million tokens cost; empty: not known.
        coder_price: The coder's, if it is another.
        budget: What may be spent.
        at_once: Requests on their way at the same time.
        requests_per_minute: At most; None: any number.
        tokens_per_minute: In and out, at most; None: any number.
        timeout_s: For one request.
        any_http: Allow http to another machine.

    Raises:
        UsageError: The address is not safe, a figure makes no sense, or one model has two prices.
    """
    endpoint = Endpoint(
        url=expert.url,
        key=key,
        any_http=any_http,
        length_field=expert.length_field,
        left_out=expert.leave_out,
        timeout_s=timeout_s,
        at_once=at_once,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
    )
    prices = {expert.coder_name: _price(coder_price or price), expert.model: _price(price)}
    if expert.coder_name == expert.model and _price(coder_price or price) != _price(price):
        raise UsageError(
            f"--coder-price {coder_price}: {expert.model} is the coder too, and has one price. "
            "Name another coder with --coder-model, or give --price alone"
        )
    return Asking(endpoint=endpoint, budget=budget, prices=prices)


@contextmanager
def exchange_with(asking: Asking, books: Path) -> Iterator[Exchange]:
    """Open an exchange with the endpoint, with its ledger in the file `books`.

    Raises:
        StoreError: The ledger cannot be opened.
    """
    ledger = Ledger(books, budget=asking.budget, prices=asking.prices)
    try:
        with Exchange(asking.endpoint, ledger, stopped=asked_to_stop) as exchange:
            yield exchange
    finally:
        ledger.close()


def expert_agent(recipe: Recipe, exchange: Exchange) -> EndpointAgent:
    """The expert at the endpoint, as an agent."""
    expert = recipe.expert
    sampling = Sampling(temperature=expert.temperature, max_tokens=expert.max_tokens)
    model = HttpModel(exchange, expert.model)
    return EndpointAgent(model, offered=recipe.actions, sampling=sampling)


def coder_at(expert: ExpertConfig, exchange: Exchange) -> ModelCoder:
    """The coder at the endpoint."""
    model = HttpModel(exchange, expert.coder_name)
    return ModelCoder(model, max_tokens=expert.coder_tokens)


def try_endpoint(expert: ExpertConfig, asking: Asking) -> str:
    """Ask each model one tiny question, and say in a line a model how that went.

    Raises:
        MLAgentError: There was no answer; the message says what to do.
    """
    lines = []
    with tempfile.TemporaryDirectory(prefix="ml-agent-") as folder:
        books = Path(folder) / "endpoint.sqlite"
        quick = replace(asking, endpoint=replace(asking.endpoint, tries=2, busy_s=10.0))
        with exchange_with(quick, books) as exchange:
            roles = [
                ("expert", expert.model, expert.temperature),
                ("coder", expert.coder_name, 0.0),
            ]
            if expert.coder_name == expert.model:
                roles = [("expert and coder", expert.model, expert.temperature)]
            for role, name, temperature in roles:
                began = time.monotonic()
                sampling = Sampling(max_tokens=16, temperature=temperature)
                question = Question(model=name, messages=_TINY, sampling=sampling, seed=0)
                said = exchange.answer(question)
                used = exchange.ledger.usage().models[name]
                if used.malformed or used.oversized:
                    raise MLAgentError(
                        f"{expert.url} answers, but not as a chat endpoint does: "
                        f"{said.text[:80]!r}. Check the address; it ends in /v1 as a rule."
                    )
                lines.append(
                    f"{role:<10} {name} at {expert.url}: answered in "
                    f"{time.monotonic() - began:.1f} s, {used.tokens_in} tokens in, "
                    f"{used.tokens_out} out, cost {used.cost:.6f}"
                )
    return "\n".join(lines)


def note_usage(run: RunFolder, exchange: Exchange) -> Usage:
    """Note in a run what its endpoint was used for so far.

    Raises:
        StoreError: It cannot be written.
    """
    usage = exchange.ledger.usage()
    write_json(run.usage_path, usage.model_dump(mode="json"))
    return usage


def spent_so_far(
    usage: Usage, *, share: float | None = None, before: tuple[float, float] = (0.0, 0.0)
) -> str:
    """A few words on what was spent, for a line of progress.

    Args:
        usage: What was used.
        share: How much of the work is done, for an estimate of the whole; None: none is made.
        before: What had been spent, and how much of the work was done, when this call began: what
            other stages cost says nothing about this one.
    """
    tokens = usage.tokens_in + usage.tokens_out
    if not usage.cost:
        return f"{tokens:,} tokens"
    cost, done = before
    whole = ""
    if share is not None and share > done:
        to_come = (usage.cost - cost) / (share - done) * (1 - share)
        whole = f" of about {usage.cost + to_come:.2f}"
    return f"{tokens:,} tokens, cost {usage.cost:.4f}{whole}"


def account(usage: Usage) -> str:
    """What was asked and spent in a run, in one line."""
    flawed = usage.malformed + usage.truncated + usage.oversized
    parts = [
        f"{usage.answers:,} answers by {usage.requests:,} requests ({usage.retries:,} repeated)",
        f"{usage.cache_hits:,} from the ledger",
        f"{usage.tokens_in:,} tokens in, {usage.tokens_out:,} out",
        f"cost {usage.cost:.4f}",
    ]
    if flawed:
        parts.append(f"{flawed:,} malformed, truncated or oversized")
    if usage.unsure:
        parts.append(
            f"{usage.unsure:,} requests lost, which may cost up to {usage.unsure_tokens:,} tokens "
            f"({usage.unsure_cost:.4f}) more"
        )
    return "endpoint: " + "; ".join(parts)


def _price(given: str) -> Price | None:
    if not given:
        return None
    before, colon, after = given.partition(":")
    try:
        price = Price(tokens_in=float(before), tokens_out=float(after))
    except ValueError:
        colon = ""
        price = Price()
    if not colon or not (0 <= price.tokens_in < 1e9 and 0 <= price.tokens_out < 1e9):
        raise UsageError(
            f"a price of {given!r} cannot be read: give what a million tokens in and out cost, "
            "as --price 0.15:0.60"
        )
    return price
