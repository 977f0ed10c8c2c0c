"""What was concluded about a user's data, and what the user said about it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ml_agent.core.base import Record
from ml_agent.core.records import Domain, Metric

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Kind = Literal["classification", "regression", "text", "image", "time-series"]
Split = Literal["random", "stratified", "time", "group"]
ColumnType = Literal["number", "category", "text", "date"]


@dataclass(frozen=True, kw_only=True)
class Hints:
    """What the user said. Whoever else can tell (a language model, say) may fill it in as well."""

    say: str = ""
    """A sentence: "predict SalePrice, RMSE"."""
    metric: str = ""
    target: str = ""
    id: str = ""
    """Column that names the rows; "none": there is none."""
    time: str = ""
    """Column that orders the rows in time; "none": time does not matter."""
    dates: Literal["day-first", "month-first"] | None = None
    """What 01/02/2020 means where nothing in the column tells."""
    group: str = ""
    """Column whose equal values must stay in one split; "none": there is none."""
    kind: Kind | None = None
    train: str = ""
    """Name of the file with labels."""
    test: str = ""
    """Name of the file to predict."""
    skip_broken: bool = False
    """Leave out lines that are no rows, instead of refusing their file."""


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What files say of the metric."""

    metric: str = ""
    """A name of it, or the sentence that names it, where a benchmark's own file does."""
    where: str = ""
    """That file."""
    readme: str = ""
    """The texts of the folder."""


class Conclusion(Record):
    """One thing that was concluded, and from what."""

    about: str
    found: str
    because: str
    guess: bool = False
    """Nothing in the data says so: worth a question where there is somebody to ask."""


class Perceived(Record):
    """What is to be solved, as far as files and hints tell."""

    name: str
    """Of the task: letters, digits and hyphens."""
    domain: Domain
    target: str
    metric: Metric
    id: str | None
    time: str | None
    group: str | None
    split: Split
    features: dict[str, ColumnType]
    hidden: tuple[str, ...] = ()
    """Columns of the labelled rows that only say how to cut them: no script sees them."""
    text: str | None
    """The column of texts, where the task is about texts."""
    labels: dict[str, str]
    """Class names of the user's files to those of the task; empty: they are the same."""
    answer_columns: tuple[str, ...]
    """Header of the predictions the user wants: what names rows, then the target, or every class
    where probabilities are asked for."""
    conclusions: tuple[Conclusion, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Material:
    """The data itself."""

    labelled: "pd.DataFrame"
    """Features and the target of every row whose target is known."""
    unseen: "pd.DataFrame | None"
    """Features of the rows to predict; None: there are none."""
    unseen_ids: tuple[str, ...] = ()
    """What the user calls those rows."""
    ids: tuple[str, ...] = ()
    """What the user calls the labelled rows; empty: nothing."""
    images: "np.ndarray | None" = None
    """[N, side, side, 3] uint8, row by row with `labelled`."""
    unseen_images: "np.ndarray | None" = None


@dataclass
class Notes:
    """Conclusions and warnings as they come."""

    conclusions: list[Conclusion] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def conclude(self, about: str, found: str, because: str, *, guess: bool = False) -> None:
        """Add a conclusion."""
        one = Conclusion(about=about, found=found, because=because, guess=guess)
        self.conclusions.append(one)

    def warn(self, text: str) -> None:
        """Add a warning, once."""
        if text not in self.warnings:
            self.warnings.append(text)
