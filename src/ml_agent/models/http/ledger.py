"""What was asked of an endpoint, what it answered, and what that cost: one SQLite file a run.

An answer and its bill are written in one transaction, before anybody sees the answer. So a run that
is killed, and goes on, asks nothing again that was answered, and bills it once.

Covered: budgets hold with many requests at once (each is charged its worst case before it leaves,
and settled by what the endpoint tells); a request that got lost, by a kill too, stays charged: it
may be billed. Not covered: two processes in one file (a run's lock sees to that); an endpoint that
bills more tokens than it was allowed to write.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_agent.core.base import Record
from ml_agent.core.database import guarded, transaction
from ml_agent.core.errors import (
    BudgetSpent,
    ModelError,
    StoreError,
    UsageError,
)
from ml_agent.core.records import Completion
from ml_agent.models.http.endpoint import Price
from ml_agent.models.http.wire import Flaw

SCHEMA = 1
_LOOK_AGAIN_S = 0.2
_TABLES = """
CREATE TABLE IF NOT EXISTS meta (schema_version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, model TEXT NOT NULL, try INTEGER NOT NULL,
    state TEXT NOT NULL, tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL,
    cost REAL NOT NULL, told INTEGER NOT NULL DEFAULT 0, flaw TEXT, seconds REAL, note TEXT
);
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, request INTEGER NOT NULL, completion TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hits (model TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
"""
"""States of a request: open, answered, failed (nothing to pay), unsure (may be billed)."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What may be spent in a run, all its sessions together; None: any amount."""

    tokens: int | None = None
    """Tokens in and out together."""
    cost: float | None = None

    def __post_init__(self) -> None:
        """Refuse a budget that allows nothing.

        Raises:
            UsageError: An amount is not above zero.
        """
        for given in (self.tokens, self.cost):
            # Written so that a NaN is refused too.
            if given is not None and not given > 0:
                raise UsageError(f"a budget of {given} allows nothing; give more, or none at all")


def check_prices(budget: Budget, prices: Mapping[str, Price | None]) -> None:
    """Refuse to limit money where it is not known what anything costs.

    Raises:
        UsageError: A price is missing.
    """
    if budget.cost is not None and not (prices and all(prices.values())):
        raise UsageError(
            "a limit of money needs the price of every model: give --price IN:OUT a million "
            "tokens, 0:0 if they are free"
        )


class ModelUsage(Record):
    """What one model of an endpoint was used for."""

    requests: int
    """Sent, whatever came of them."""
    answers: int
    cache_hits: int
    """Answers that were there already: nothing was sent."""
    retries: int
    """Requests after the first one for an answer."""
    tokens_in: int
    tokens_out: int
    cost: float
    untold: int
    """Answers that came without usage, and are counted with the most they can have cost."""
    unsure: int
    """Requests that were lost on the way. They may be billed, so the budget is charged for them."""
    unsure_tokens: int
    """The most they can have cost; not among the tokens and the cost above."""
    unsure_cost: float
    malformed: int
    truncated: int
    oversized: int


class Usage(ModelUsage):
    """What an endpoint was used for in a run."""

    models: dict[str, ModelUsage]


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """The worst that one request can cost, charged before it is sent."""

    id: int
    key: str
    model: str
    tokens_in: int
    tokens_out: int
    cost: float
    began: float


class Ledger:
    """The books of one endpoint in one run. Safe to share between threads."""

    def __init__(
        self,
        path: Path,
        *,
        budget: Budget = Budget(),
        prices: Mapping[str, Price | None] | None = None,
    ) -> None:
        """Open the books, making them if there are none.

        Args:
            path: The SQLite file.
            budget: What all sessions together may spend.
            prices: By model; None, or no model: what it costs is not known, and not counted.

        Raises:
            UsageError: Money is limited, but not every price is known.
            StoreError: The file cannot be opened, or another version of this program wrote it.
        """
        prices = prices or {}
        check_prices(budget, prices)
        self._path, self._budget = path, budget
        self._prices = {model: price for model, price in prices.items() if price}
        self._changed = threading.Condition()
        self._open: dict[int, Reservation] = {}
        with guarded(self._path, "opening"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
        with self._transaction("opening"):
            self._prepare()
            # Whoever sent them was killed.
            self._db.execute("UPDATE requests SET state='unsure' WHERE state='open'")
            self._price_what_had_none()
            query = "SELECT total(tokens_in + tokens_out), total(cost) FROM requests"
            self._tokens, self._cost = self._db.execute(query).fetchone()

    def close(self) -> None:
        """Close the file; what was noted is in it already."""
        self._db.close()

    def find(self, key: str, model: str) -> Completion | None:
        """The answer to a question that was asked before; None: it was not."""
        with self._transaction("looking for an answer"):
            query = "SELECT completion FROM answers WHERE key=?"
            row = self._db.execute(query, (key,)).fetchone()
            if row is None:
                return None
            self._db.execute(
                "INSERT INTO hits VALUES (?, 1) ON CONFLICT(model) DO UPDATE SET count=count+1",
                (model,),
            )
        return Completion.model_validate_json(row[0])

    def reserve(
        self,
        key: str,
        model: str,
        *,
        tokens_in: int,
        tokens_out: int,
        attempt: int,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Reservation:
        """Charge the worst case of a request; waits while others that are out may cost less yet.

        Args:
            key: The question.
            model: Who is asked.
            tokens_in: The most its prompt can have.
            tokens_out: The most its answer can have.
            attempt: 1 for the first request for this answer.
            stopped: Whether to give up waiting.

        Raises:
            BudgetSpent: It may cost more than is left.
            ModelError: It was stopped.
        """
        cost = self._price(model).of(tokens_in, tokens_out)
        with self._changed:
            while not self._fits(tokens_in + tokens_out, cost):
                if stopped():
                    raise ModelError("stopped before a request was sent")
                if not self._open:
                    raise BudgetSpent(self._spent(tokens_in + tokens_out, cost))
                self._changed.wait(_LOOK_AGAIN_S)
            with self._transaction("noting a request"):
                cursor = self._db.execute(
                    "INSERT INTO requests (key, model, try, state, tokens_in, tokens_out, cost)"
                    " VALUES (?,?,?,'open',?,?,?)",
                    (key, model, attempt, tokens_in, tokens_out, cost),
                )
            reserved = Reservation(
                id=int(cursor.lastrowid or 0),
                key=key,
                model=model,
                tokens_in=tokens_in,
                tokens_out=tokens_out,
                cost=cost,
                began=time.monotonic(),
            )
            self._open[reserved.id] = reserved
            self._charge(tokens_in + tokens_out, cost)
            return reserved

    def settle(
        self,
        reserved: Reservation,
        completion: Completion,
        *,
        tokens_in: int | None,
        tokens_out: int | None,
        flaw: Flaw | None,
    ) -> None:
        """Note an answer and what it really cost; where the endpoint does not tell, the worst."""
        told = tokens_in is not None and tokens_out is not None
        came_in = reserved.tokens_in if tokens_in is None else tokens_in
        went_out = reserved.tokens_out if tokens_out is None else tokens_out
        cost = self._price(reserved.model).of(came_in, went_out)
        spent_s = time.monotonic() - reserved.began
        with self._ending(reserved), self._transaction("noting an answer"):
            self._db.execute(
                "UPDATE requests SET state='answered', tokens_in=?, tokens_out=?, cost=?, told=?,"
                " flaw=?, seconds=? WHERE id=?",
                (came_in, went_out, cost, told, flaw, spent_s, reserved.id),
            )
            self._db.execute(
                "INSERT INTO answers VALUES (?,?,?)",
                (reserved.key, reserved.id, completion.model_dump_json()),
            )
            self._charge(
                came_in + went_out - reserved.tokens_in - reserved.tokens_out, cost - reserved.cost
            )

    def lose(self, reserved: Reservation, reason: str, *, unsure: bool) -> None:
        """Note that no answer came.

        Args:
            reserved: The request.
            reason: Why, without any secret.
            unsure: It may be billed all the same, so it stays charged.
        """
        spent_s = time.monotonic() - reserved.began
        kept = (reserved.tokens_in, reserved.tokens_out, reserved.cost) if unsure else (0, 0, 0.0)
        with self._ending(reserved), self._transaction("noting a lost request"):
            self._db.execute(
                "UPDATE requests SET state=?, tokens_in=?, tokens_out=?, cost=?, seconds=?, note=?"
                " WHERE id=?",
                ("unsure" if unsure else "failed", *kept, spent_s, reason, reserved.id),
            )
            if not unsure:
                self._charge(-reserved.tokens_in - reserved.tokens_out, -reserved.cost)

    def is_asking(self, model: str) -> bool:
        """Whether a request to a model is out."""
        with self._changed:
            return any(one.model == model for one in self._open.values())

    def usage(self) -> Usage:
        """What was used so far, in all sessions."""
        with self._transaction("adding up"):
            query = "SELECT model FROM requests UNION SELECT model FROM hits ORDER BY 1"
            names = [str(name) for (name,) in self._db.execute(query).fetchall()]
            return Usage(**self._sums(None), models={n: ModelUsage(**self._sums(n)) for n in names})

    def _sums(self, model: str | None) -> dict[str, Any]:
        answered, unsure = "state='answered'", "state='unsure'"
        sums = {
            "requests": "count(*)",
            "answers": f"count(*) FILTER (WHERE {answered})",
            "retries": "count(*) FILTER (WHERE try > 1)",
            "tokens_in": f"coalesce(sum(tokens_in) FILTER (WHERE {answered}), 0)",
            "tokens_out": f"coalesce(sum(tokens_out) FILTER (WHERE {answered}), 0)",
            "cost": f"total(cost) FILTER (WHERE {answered})",
            "untold": f"count(*) FILTER (WHERE {answered} AND NOT told)",
            "unsure": f"count(*) FILTER (WHERE {unsure})",
            "unsure_tokens": f"coalesce(sum(tokens_in + tokens_out) FILTER (WHERE {unsure}), 0)",
            "unsure_cost": f"total(cost) FILTER (WHERE {unsure})",
            **{
                flaw: f"count(*) FILTER (WHERE flaw='{flaw}')"
                for flaw in ("malformed", "truncated", "oversized")
            },
        }
        where, given = ("WHERE model=?", (model,)) if model else ("", ())
        query = f"SELECT {', '.join(sums.values())} FROM requests {where}"
        row = self._db.execute(query, given).fetchone()
        query = f"SELECT coalesce(sum(count), 0) FROM hits {where}"
        (hits,) = self._db.execute(query, given).fetchone()
        return {**dict(zip(sums, row, strict=True)), "cache_hits": hits}

    def _price(self, model: str) -> Price:
        return self._prices.get(model, Price())

    def _fits(self, tokens: int, cost: float) -> bool:
        budget = self._budget
        return (budget.tokens is None or self._tokens + tokens <= budget.tokens) and (
            budget.cost is None or self._cost + cost <= budget.cost
        )

    def _charge(self, tokens: int, cost: float) -> None:
        self._tokens += tokens
        self._cost += cost

    def _spent(self, tokens: int, cost: float) -> str:
        limits = []
        if self._budget.tokens is not None:
            limits.append(
                f"{self._tokens:,.0f} of {self._budget.tokens:,} tokens are used and the next "
                f"request may take {tokens:,} (--max-tokens-spent)"
            )
        if self._budget.cost is not None:
            limits.append(
                f"{self._cost:.4f} of {self._budget.cost:g} is spent and the next request may cost "
                f"{cost:.4f} (--max-cost)"
            )
        return (
            f"the endpoint's budget is spent: {'; '.join(limits)}. Raise it and run the same "
            "command again: nothing that was answered is asked again."
        )

    @contextmanager
    def _ending(self, reserved: Reservation) -> Iterator[None]:
        """Whatever happens in the block, the request is out no more."""
        with self._changed:
            try:
                yield
            finally:
                del self._open[reserved.id]
                self._changed.notify_all()

    def _prepare(self) -> None:
        for statement in _TABLES.split(";"):
            self._db.execute(statement)
        (version,) = self._db.execute("SELECT max(schema_version) FROM meta").fetchone()
        if version is None:
            self._db.execute("INSERT INTO meta VALUES (?)", (SCHEMA,))
        elif version != SCHEMA:
            raise StoreError(
                f"{self._path} has schema version {version}, this program reads version {SCHEMA}. "
                "Open it with the version that made it, or start a new run."
            )

    def _price_what_had_none(self) -> None:
        """What was asked while no price was known cost something all the same."""
        for model, price in self._prices.items():
            self._db.execute(
                "UPDATE requests SET cost=(? * tokens_in + ? * tokens_out) / 1e6"
                " WHERE model=? AND cost=0",
                (price.tokens_in, price.tokens_out, model),
            )

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[None]:
        with self._changed, guarded(self._path, doing), transaction(self._db):
            yield
