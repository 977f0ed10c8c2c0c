"""Can a label be looked up, because the same row stands among the labelled ones too?

Twins are rows that are equal in every feature: in the columns that predict.csv and train.csv share,
but for id, and in the rows of .npy files called alike but for these two words. In a table of few
values there are innocent twins, whose labels differ as often as chance has it; a copy brings its
label along. So what counts is how many labels a twin tells beyond chance, and how surely.

Covered: rows to predict with a training row for a twin, and test rows with a validation row. Not
covered: features that stand in other files (images, .npz, graphs); rows that are nearly equal; one
thing seen twice in different rows; numbers whose copies differ a little in their label.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml_agent.tasks.grading import Answers
from ml_agent.tasks.splits import PREDICT, read_columns
from ml_agent.tasks.tables import canonical

SHARE = 0.02
"""Of all labels; where memory tells more of them, a score says little about learning."""
SURE = 0.9
"""0: a twin's label tells as much as chance, 1: it is always right (Cohen's kappa). Twins of noisy
data stay well below."""


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

    @property
    def tell(self) -> bool:
        """Whether too many labels can be looked up."""
        beyond = self.right - self.by_chance
        return beyond > SHARE * self.asked and beyond >= SURE * (self.found - self.by_chance)


@dataclass(frozen=True, kw_only=True)
class Copies:
    """What can be looked up where."""

    training: Twins
    """Rows to predict, among the training rows."""
    validation: Twins
    """Test rows, among the validation rows."""


def find_copies(public: Path, answers: Path) -> Copies | None:
    """Look every row to predict up; None: there are no features or labels to compare.

    Args:
        public: A prepared task's data.
        answers: Its labels.

    Raises:
        BadTable: The answers cannot be read.
    """
    asked, known = _features(public, "predict"), _features(public, "train")
    shared = sorted(asked.keys() & known.keys())
    targets = known.keys() - asked.keys()
    if not shared or not targets:
        return None
    ids = read_columns(public / PREDICT)["id"]
    rows = dict(zip(ids, zip(*(asked[name] for name in shared), strict=True), strict=True))
    labels = Answers.read(answers)
    valid, test = (
        [(rows[name], canonical(label)) for name, label in split.items()]
        for split in (labels.valid, labels.test)
    )
    learned = list(zip(*(known[name] for name in shared), strict=True))
    # What predict.csv lacks is the target, but there may be more of it.
    tried = (
        _look_up(zip(learned, known[name], strict=True), [*valid, *test])
        for name in sorted(targets)
    )
    return Copies(
        training=max(tried, key=lambda twins: twins.right), validation=_look_up(valid, test)
    )


def _features(public: Path, side: str) -> dict[str, list[Hashable]]:
    """Columns of SIDE.csv but for id, and those arrays called like it that have a row for each."""
    path = public / f"{side}.csv"
    columns = read_columns(path) if path.is_file() else {}
    length = len(next(iter(columns.values()), []))
    features: dict[str, list[Hashable]] = {
        name: [canonical(cell) for cell in cells] for name, cells in columns.items() if name != "id"
    }
    for path in public.glob(f"*{side}*.npy"):
        array = np.load(path, allow_pickle=False)
        if array.ndim and len(array) == length:
            features[path.name.replace(side, "")] = [row.tobytes() for row in array]
    return features


def _look_up(
    known: Iterable[tuple[Hashable, Hashable]], asked: Sequence[tuple[Hashable, str]]
) -> Twins:
    labels: defaultdict[Hashable, Counter[Hashable]] = defaultdict(Counter)
    for row, label in known:
        labels[row][label] += 1
    said = [(labels[row].most_common(1)[0][0], label) for row, label in asked if row in labels]
    frequent = Counter[Hashable](label for _, label in asked)
    return Twins(
        asked=len(asked),
        found=len(said),
        right=sum(guess == label for guess, label in said),
        by_chance=sum(frequent[guess] for guess, _ in said) / len(asked),
    )
