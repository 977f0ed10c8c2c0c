"""Can a label be looked up, because the same row stands among the labelled ones too?

Twins are rows that are equal in every feature: in the columns that predict.csv and train.csv share,
but for id, and in the rows of .npy files called alike but for these two words. In a table of few
values there are innocent twins, whose labels differ as often as chance has it; a copy brings its
label along. So what counts is how many labels a twin tells beyond chance, and how surely.

Covered: rows to predict with a training row for a twin, and test rows with a validation row; the
same but for columns that number or name the rows. Not covered: features that stand in other files
(images, .npz, graphs) or folders, or in arrays of two types; labels in several columns of an array;
test rows where no training row has features like theirs; rows that are nearly equal; one thing seen
twice in different rows; numbers whose copies differ a little in their label.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ml_agent.tasks.grading import Answers
from ml_agent.tasks.splits import PREDICT, read_columns
from ml_agent.tasks.tables import canonical, is_number

SHARE = 0.02
"""Of all labels; where memory tells more of them, a score says little about learning."""
SURE = 0.9
"""0: a twin's label tells as much as chance, 1: it is always right (Cohen's kappa). Twins of noisy
data stay well below."""
FEW = 5
"""Fewer rows of one class with a twin may be an accident."""


@dataclass(frozen=True, kw_only=True)
class Twins:
    """Rows with a twin among rows whose labels are known."""

    asked: int
    """All rows that were looked up."""
    found: int
    """Those with a twin."""
    right: int
    """Those whose label is the most frequent one of their twins."""
    by_chance: float
    """How many would be right on average if the asked labels were shuffled."""
    by_class: float
    """Share of a class's labels that twins surely tell beyond chance, the mean of all classes: in
    many scores a rare class weighs as much as a frequent one."""

    @property
    def tell(self) -> bool:
        """Whether too many labels can be looked up."""
        share = (self.right - self.by_chance) / self.asked
        surely = _sure(self.right, self.found, self.by_chance)
        return (surely and share > SHARE) or self.by_class > SHARE


@dataclass(frozen=True, kw_only=True)
class Copies:
    """What can be looked up where."""

    training: Twins
    """Rows to predict, among the training rows."""
    validation: Twins
    """Test rows, among the validation rows."""
    without: tuple[str, ...] = ()
    """Features that were left aside, as they number or name the rows."""

    @property
    def tell(self) -> bool:
        """Whether too many labels can be looked up anywhere."""
        return self.training.tell or self.validation.tell


def find_copies(public: Path, answers: Path) -> Copies | str:
    """Look every row to predict up, or say why it cannot be done.

    Args:
        public: A prepared task's data.
        answers: Its labels.

    Raises:
        BadTable: The answers cannot be read.
    """
    asked, known = _features(public, "predict"), _features(public, "train")
    shared = sorted(asked.keys() & known.keys())
    # What predict.csv lacks is the target, but there may be more of it.
    targets = [known[name] for name in sorted(known.keys() - asked.keys())]
    if not shared:
        return "rows to predict and training rows share no column but id, and no .npy file"
    if not targets:
        return "training rows have no column or .npy file that rows to predict lack"
    ids = read_columns(public / PREDICT)["id"]
    labels = Answers.read(answers)

    def compare(features: Sequence[str]) -> Copies:
        rows = dict(zip(ids, zip(*(asked[name] for name in features), strict=True), strict=True))
        valid, test = (
            [(rows[name], canonical(label)) for name, label in split.items()]
            for split in (labels.valid, labels.test)
        )
        learned = list(zip(*(known[name] for name in features), strict=True))
        tried = (_look_up(zip(learned, one, strict=True), [*valid, *test]) for one in targets)
        return Copies(
            training=max(tried, key=lambda twins: (twins.tell, twins.right)),
            validation=_look_up(valid, test),
        )

    copies = compare(shared)
    without = tuple(name for name in shared if _name_rows(asked[name]) and _name_rows(known[name]))
    if not copies.tell and 0 < len(without) < len(shared):
        again = compare([name for name in shared if name not in without])
        if again.tell:
            return replace(again, without=without)
    return copies


def _features(public: Path, side: str) -> dict[str, list[Hashable]]:
    """Columns of SIDE.csv but for id, and those arrays called like it that have a row for each."""
    path = public / f"{side}.csv"
    columns = read_columns(path) if path.is_file() else {}
    features: dict[str, list[Hashable]] = {
        name: [canonical(cell) for cell in cells] for name, cells in columns.items() if name != "id"
    }
    arrays = {
        path.name.replace(side, ""): np.load(path, allow_pickle=False)
        for path in sorted(public.glob(f"*{side}*.npy"))
    }
    lengths = Counter(len(cells) for cells in columns.values())
    # Without a table, rows are what most arrays have as many of.
    lengths = lengths or Counter(len(array) for array in arrays.values() if array.ndim)
    for name, array in arrays.items():
        if array.ndim and len(array) == lengths.most_common(1)[0][0]:
            features[name] = _rows(array)
    return features


def _rows(array: np.ndarray) -> list[Hashable]:
    """Single values as a table would show them: they may be labels."""
    if array.size == len(array):
        return [canonical(str(value)) for value in array.ravel()]
    return [row.tobytes() for row in array]


def _name_rows(cells: Sequence[Hashable]) -> bool:
    """Whether a feature may number or name the rows: all differ, and none is a measurement."""
    return len(set(cells)) == len(cells) and all(
        isinstance(cell, str) and (not is_number(cell) or float(cell).is_integer())
        for cell in cells
    )


def _look_up(
    known: Iterable[tuple[Hashable, Hashable]], asked: Sequence[tuple[Hashable, str]]
) -> Twins:
    labels: defaultdict[Hashable, Counter[Hashable]] = defaultdict(Counter)
    for row, label in known:
        labels[row][label] += 1
    said = [(labels[row].most_common(1)[0][0], label) for row, label in asked if row in labels]
    guesses = Counter(guess for guess, _ in said)
    frequent = Counter[Hashable](label for _, label in asked)
    chance = {label: guesses[label] * count / len(asked) for label, count in frequent.items()}
    right = Counter[Hashable](label for guess, label in said if guess == label)
    either = guesses + Counter[Hashable](label for _, label in said) - right
    shares = [
        (count - chance[label]) / frequent[label]
        for label, count in right.items()
        if count >= FEW and _sure(count, either[label], chance[label])
    ]
    return Twins(
        asked=len(asked),
        found=len(said),
        right=right.total(),
        by_chance=sum(chance.values()),
        by_class=sum(shares) / len(frequent),
    )


def _sure(right: int, found: int, by_chance: float) -> bool:
    return right - by_chance >= SURE * (found - by_chance)
