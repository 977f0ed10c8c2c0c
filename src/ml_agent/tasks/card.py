"""A task package: a folder that says what is to be solved, before any data is prepared.

task.toml            the card: who, what, how measured, where the data comes from
statement.md         what the agent is told, at most two lines
prepare.py           prepare(sources, public, answers, seed): cuts the three splits
starter/train.py     honest and mediocre; every workspace begins with it
reference/train.py   a good solution; no agent ever sees it. None, if the card says so
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from ml_agent.assets import Wheel
from ml_agent.core.base import Record
from ml_agent.core.errors import TaskError
from ml_agent.core.records import Budget, Domain, Metric
from ml_agent.tasks.metrics import METRICS

REFERENCE = "reference/train.py"
FILES = ("task.toml", "statement.md", "prepare.py", "starter/train.py", REFERENCE)
STATEMENT_LINES = 2


def _known(metric: Metric) -> Metric:
    """Refuse a metric that cannot be computed, or is stated the wrong way round."""
    known = METRICS.get(metric.name)
    if known is None:
        raise ValueError(f"{metric.name!r} is not one of: {', '.join(METRICS)}")
    if known.higher_is_better != metric.higher_is_better:
        raise ValueError(
            f"{metric.name} has higher_is_better = {str(known.higher_is_better).lower()}"
        )
    return metric


class SourceWheel(Record):
    """A package file the data is read from, as plain archive members."""

    name: str
    version: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    members: tuple[str, ...] = Field(min_length=1)
    """Paths inside the wheel; prepare.py finds each at sources/NAME/PATH."""
    platform: str | None = None
    python: str | None = None

    @property
    def wheel(self) -> Wheel:
        """What to fetch."""
        return Wheel(
            name=self.name,
            version=self.version,
            sha256=self.sha256,
            platform=self.platform,
            python=self.python,
        )

    @field_validator("members")
    @classmethod
    def _stay_inside(cls, members: tuple[str, ...]) -> tuple[str, ...]:
        for path in members:
            if path.startswith("/") or ".." in path.split("/"):
                raise ValueError(f"{path!r} is not a path inside a wheel")
        return members


class Source(Record):
    """Where the data comes from, and on what terms."""

    title: str
    licence: str
    """"not established" where nobody could say."""
    citation: str
    wheels: tuple[SourceWheel, ...] = ()
    """None: prepare.py takes the data from an installed library or makes it."""


class Card(Record):
    """task.toml."""

    id: str = Field(pattern="^[a-z0-9][a-z0-9-]*$")
    domain: Domain
    role: Literal["train", "held-out"]
    """Held-out tasks measure a policy; nothing is ever learned on them."""
    seeds: tuple[int, ...] = Field(min_length=1)
    """Seeds of the split. The first is played; the admission checks use all."""
    metric: Annotated[Metric, AfterValidator(_known)]
    budget: Budget = Budget()
    reference: bool = True
    """False: nobody knows a good solution. Then m_best is the metric's perfect value."""
    source: Source

    @model_validator(mode="after")
    def _numbers_make_sense(self) -> Self:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds repeat: {list(self.seeds)}")
        spent = self.budget.model_dump(exclude={"experiment"})
        spent |= {f"experiment.{k}": v for k, v in self.budget.experiment.model_dump().items()}
        for name, value in spent.items():
            if not value > 0:
                raise ValueError(f"budget.{name} is {value}; it must be above 0")
        return self


@dataclass(frozen=True, kw_only=True)
class TaskPackage:
    """A package whose files are all there and whose card makes sense."""

    folder: Path
    card: Card
    statement: str

    @property
    def starter(self) -> bytes:
        """The script every workspace begins with."""
        return (self.folder / "starter/train.py").read_bytes()

    @property
    def reference(self) -> bytes | None:
        """The reference solution, if there is one. It stays on the trusted side."""
        return (self.folder / REFERENCE).read_bytes() if self.card.reference else None


def load_package(folder: Path) -> TaskPackage:
    """Read a task package.

    Raises:
        TaskError: A file is missing or unreadable, or a field is wrong; the message names it.
    """
    if not folder.is_dir():
        raise TaskError(f"{folder} is no folder. Give a task package: {', '.join(FILES)}")
    missing = [name for name in FILES if not (folder / name).is_file()]
    for name in missing:
        if name != REFERENCE:
            raise _incomplete(folder, name)
    card = _read_card(folder / "task.toml")
    if card.reference and missing:
        raise _incomplete(folder, REFERENCE)
    return TaskPackage(
        folder=folder.resolve(),
        card=card,
        statement=_read_statement(folder / "statement.md"),
    )


def _incomplete(folder: Path, name: str) -> TaskError:
    return TaskError(f"{folder} has no {name}. A task package holds {', '.join(FILES)}; add it.")


def _read_card(path: Path) -> Card:
    try:
        return Card.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the card"
        said = first["msg"].removeprefix("Value error, ")
        more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise TaskError(f"{path}: {where}: {said}{more}. Correct the card.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TaskError(f"{path} is not TOML in UTF-8: {error}. Correct the card.") from error


def _read_statement(path: Path) -> str:
    try:
        statement = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise TaskError(f"{path} is not UTF-8: {error}. Save it as UTF-8.") from error
    lines = len(statement.splitlines())
    if not 1 <= lines <= STATEMENT_LINES:
        raise TaskError(
            f"{path} has {lines} lines; the statement is one or {STATEMENT_LINES}, because it "
            "stands in every prompt. Shorten it, or write it."
        )
    return statement
