"""A language model as expert and coder: from the command line to an open exchange with it."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
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
    read_key,
)
from ml_agent.models.http.model import Question

_TINY = (Message(role="user", text="Answer with the one word yes."),)


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How an endpoint is asked. No part of a run's configuration: it decides no answer."""

    key: Secret = field(default_factory=lambda: Secret(""))
    budget: Budget = field(default_factory=Budget)
    price: Price = field(default_factory=Price)
    coder_price: Price | None = None
    """None: the coder costs what the expert costs."""
    at_once: int = 8
    timeout_s: float = 180.0
    any_http: bool = False


def read_asking(
    *,
    key_env: str,
    key_file: str,
    price: str,
    coder_price: str,
    max_tokens_spent: int | None,
    max_cost: float | None,
    at_once: int,
    timeout_s: float,
    any_http: bool,
) -> Asking:
    """What the command line says of how to ask.

    Raises:
        UsageError: There is no key where there should be one, or a figure makes no sense.
    """
    return Asking(
        key=read_key(env=key_env, file=key_file),
        budget=Budget(tokens=max_tokens_spent, cost=max_cost),
        price=_price(price) if price else Price(),
        coder_price=_price(coder_price) if coder_price else None,
        at_once=at_once,
        timeout_s=timeout_s,
        any_http=any_http,
    )


@contextmanager
def exchange_with(expert: ExpertConfig, asking: Asking, books: Path) -> Iterator[Exchange]:
    """Open an exchange with the endpoint.

    Args:
        expert: Who is asked.
        asking: How.
        books: The ledger's file.

    Raises:
        UsageError: The address is not safe, or money is limited and a price is not known.
        StoreError: The ledger cannot be opened.
    """
    endpoint = Endpoint(
        url=expert.url,
        key=asking.key,
        any_http=asking.any_http,
        length_field=expert.length_field,
        timeout_s=asking.timeout_s,
        at_once=asking.at_once,
    )
    prices = {_coder_name(expert): asking.coder_price or asking.price, expert.model: asking.price}
    ledger = Ledger(books, budget=asking.budget, prices=prices)
    try:
        with Exchange(endpoint, ledger, stopped=asked_to_stop) as exchange:
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
    model = HttpModel(exchange, _coder_name(expert))
    return ModelCoder(model, max_tokens=expert.coder_tokens)


def try_endpoint(expert: ExpertConfig, asking: Asking) -> str:
    """Ask each model one tiny question, and say in a line a model how that went.

    Raises:
        MLAgentError: There was no answer; the message says what to do.
    """
    lines = []
    with tempfile.TemporaryDirectory(prefix="ml-agent-") as folder:
        books = Path(folder) / "endpoint.sqlite"
        with exchange_with(expert, asking, books) as exchange:
            exchange.endpoint = replace(exchange.endpoint, tries=2)
            for role, name in (("expert", expert.model), ("coder", _coder_name(expert))):
                began = time.monotonic()
                question = Question(
                    model=name, messages=_TINY, sampling=Sampling(max_tokens=16), seed=0
                )
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


def spent_so_far(usage: Usage, *, share: float | None = None) -> str:
    """A few words on what was spent, for a line of progress.

    Args:
        usage: What was used.
        share: How much of the work is done, for an estimate of the whole; None: none is made.
    """
    tokens = usage.tokens_in + usage.tokens_out
    if not usage.cost:
        return f"{tokens:,} tokens"
    whole = f" of about {usage.cost / share:.2f}" if share else ""
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


def _coder_name(expert: ExpertConfig) -> str:
    return expert.coder or expert.model


def _price(given: str) -> Price:
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
