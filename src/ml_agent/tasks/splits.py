"""What prepare.py must have left behind: whole, disjoint splits, and no label within reach.

Covered: labels that do not fit the metric; ids that repeat, overlap or do not agree with
predict.csv; splits that stand in blocks; a column or array of the public data that equals the
labels, by id or by row. Not covered: a feature from which the label can be computed; one thing
under two ids, which `tasks.copies` looks for.
"""

import csv
import hashlib
from collections.abc import Iterator
from itertools import pairwise, zip_longest
from pathlib import Path

from ml_agent.assets import sha256_of
from ml_agent.core.errors import TaskError
from ml_agent.core.records import SplitDigests
from ml_agent.tasks.grading import Answers
from ml_agent.tasks.metrics import Measure
from ml_agent.tasks.tables import (
    BadTable,
    canonical,
    first_few,
    is_number,
    parse_labels,
    parse_numbers,
)

PREDICT = "predict.csv"
_BLOCKS_AT_LEAST = 5
"""Runs of rows of one split; rows in random order have about half as many as there are rows."""


def validate_splits(public: Path, answers: Path, measure: Measure) -> None:
    """Refuse prepared data that is incomplete or gives labels away.

    Args:
        public: What a box will see as data/.
        answers: valid.csv and test.csv with labels.
        measure: The task's metric.

    Raises:
        TaskError: With the first fault found; its author is whoever wrote prepare.py.
    """
    try:
        labels = _labels(answers, measure)
    except (BadTable, OSError) as error:
        raise TaskError(f"answers: {error}. Correct prepare.py.") from error
    for path in sorted(public.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise TaskError(
                f"public/{path.relative_to(public)} is no regular file: a box cannot show it. "
                "Have prepare.py write files only."
            )
    order = _ids_to_predict(public / PREDICT)
    if repeated := len(order) - len(set(order)):
        raise TaskError(f"{PREDICT}: {repeated} ids repeat. Correct prepare.py.")
    everything = labels.valid | labels.test
    if unlike := set(order) ^ set(everything):
        raise TaskError(
            f"{PREDICT} and the answers differ in {len(unlike)} ids ({first_few(sorted(unlike))}); "
            "both hold every validation and test id. Correct prepare.py."
        )
    blocks = 1 + sum((a in labels.valid) != (b in labels.valid) for a, b in pairwise(order))
    if blocks < min(_BLOCKS_AT_LEAST, 2 * min(len(labels.valid), len(labels.test))):
        raise TaskError(
            f"{PREDICT} has its validation and test rows in {blocks} blocks, so a script could "
            "tell them apart. Have prepare.py shuffle them."
        )
    for path in sorted(p for p in public.rglob("*") if p.is_file()):
        if found := _leak(path, labels, order):
            raise TaskError(
                f"public/{path.relative_to(public)}: {found} equals the labels that are to be "
                "predicted. Have prepare.py leave it out."
            )


def digest_splits(public: Path, answers: Path) -> SplitDigests:
    """Digests of prepared data; file names count, times and modes do not."""
    whole = hashlib.sha256()
    for path in sorted(p for p in public.rglob("*") if p.is_file()):
        whole.update(f"{path.relative_to(public)}\0{sha256_of(path)}\n".encode())
    return SplitDigests(
        public=whole.hexdigest(),
        valid=sha256_of(answers / "valid.csv"),
        test=sha256_of(answers / "test.csv"),
    )


def _labels(answers: Path, measure: Measure) -> Answers:
    labels = Answers.read(answers)
    if both := labels.valid.keys() & labels.test.keys():
        raise BadTable(
            f"{len(both)} ids are in valid.csv and in test.csv: {first_few(sorted(both))}"
        )
    for name, split in (("valid.csv", labels.valid), ("test.csv", labels.test)):
        if not split:
            raise BadTable(f"{name} has no rows")
        try:
            if measure.predicts != "number":
                values: set[str] | set[float] = set(parse_labels(split).values())
            else:
                values = set(parse_numbers(split, lowest=measure.lowest).values())
        except BadTable as error:
            raise BadTable(f"{name}: {error}") from error
        if (why := _unfit(values, measure)) is not None:
            raise BadTable(f"{name}: {why}")
    return labels


def _unfit(values: set[str] | set[float], measure: Measure) -> str | None:
    """Why labels cannot be measured so; None: they can."""
    if measure.two_classes and values != {0.0, 1.0}:
        return "this metric wants labels 0 and 1, both of them"
    if measure.whole and not all(is_number(str(v)) and float(v).is_integer() for v in values):
        return "this metric wants whole numbers as labels"
    if measure.divides and 0.0 in values:
        return "this metric divides by the truth, and some labels are 0"
    return "all labels are equal, so nothing can be measured" if len(values) == 1 else None


def _ids_to_predict(path: Path) -> list[str]:
    if not path.is_file():
        raise TaskError(f"prepare.py wrote no public/{PREDICT}, which names the rows to predict.")
    columns = read_columns(path)
    if "id" not in columns:
        raise TaskError(f"{PREDICT} has no column id. Have prepare.py write one.")
    return columns["id"]


def read_columns(path: Path) -> dict[str, list[str]]:
    """Columns of a CSV file by name; empty where it is not one.

    Blank lines are no rows, and a short row ends in empty cells: neither hides a column.

    Raises:
        OSError: It cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = filter(None, csv.reader(file))
            header = next(rows, [])
            columns = zip_longest(*rows, fillvalue="")
            return dict(zip(header, map(list, columns), strict=False))
    except (UnicodeDecodeError, csv.Error):
        return {}


def _leak(path: Path, labels: Answers, order: list[str]) -> str | None:
    """The part of a file that equals the labels, in words; None: there is none."""
    if path.suffix in {".npy", ".npz"}:
        everything = labels.valid | labels.test
        return _leaking_array(path, [everything[i] for i in order])
    columns = read_columns(path)
    for name, values in columns.items():
        if name != "id" and any(
            _equal(values, expected, rows)
            for expected, rows in _readings(columns.get("id", []), len(values), labels, order)
        ):
            return f"column {name}"
    return None


def _readings(
    ids: list[str], length: int, labels: Answers, order: list[str]
) -> Iterator[tuple[list[str], list[int]]]:
    """How a column could give labels away: by the ids beside it, or row by row with predict.csv.

    Yields the labels it would have to equal, and in which rows.
    """
    everything = labels.valid | labels.test
    rows = [row for row, name in enumerate(ids) if name in everything]
    # A few ids of another kind (nodes beside pairs) may coincide; half a split does not.
    if 2 * len(rows) >= min(len(labels.valid), len(labels.test)):
        yield [everything[ids[row]] for row in rows], rows
    if length == len(order):
        yield [everything[name] for name in order], list(range(length))


def _equal(values: list[str], expected: list[str], rows: list[int]) -> bool:
    pairs = zip(expected, rows, strict=True)
    return all(canonical(values[row]) == canonical(label) for label, row in pairs)


def _leaking_array(path: Path, labels: list[str]) -> str | None:
    import numpy as np

    try:
        loaded = np.load(path, allow_pickle=False)
    except ValueError as error:
        raise TaskError(
            f"public/{path.name} cannot be read without unpickling ({error}), which runs code. "
            "Have prepare.py save plain numbers or text."
        ) from error
    arrays = dict(loaded) if path.suffix == ".npz" else {"": loaded}
    texts = np.array([canonical(label) for label in labels])
    for name, array in arrays.items():
        if array.ndim == 0 or len(array) != len(labels) or array.size == 0:
            continue
        table = array.reshape(len(labels), -1)
        for i in range(table.shape[1]):
            first = canonical(str(table[0, i]))
            if first == texts[0] and all(
                canonical(str(cell)) == text for cell, text in zip(table[:, i], texts, strict=True)
            ):
                return f"array {name or path.stem}, column {i}"
    return None
