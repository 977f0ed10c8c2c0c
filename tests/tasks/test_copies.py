"""Rows that stand on two sides are told from rows that only look alike."""

import csv

import numpy as np
import pytest

from ml_agent.tasks.copies import find_copies


@pytest.fixture
def looked_up(tmp_path):
    """Write tables of rows (features and label); what find_copies says of them."""

    def run(train, valid, test, *, features="ab"):
        for folder in ("public", "answers"):
            (tmp_path / folder).mkdir(exist_ok=True)
        public, answers = tmp_path / "public", tmp_path / "answers"
        named = {}
        for split, rows in (("valid", valid), ("test", test)):
            named[split] = {f"{split}{i}": row for i, row in enumerate(rows)}
            labels = [(name, row[-1]) for name, row in named[split].items()]
            _write(answers / f"{split}.csv", ["id", "label"], labels)
        asked = named["test"] | named["valid"]
        rows = [(name, *row[:-1]) for name, row in asked.items()]
        _write(public / "predict.csv", ["id", *features], rows)
        known = [(f"train{i}", *row) for i, row in enumerate(train)]
        _write(public / "train.csv", ["id", *features, "target"], known)
        return find_copies(public, answers)

    return run


def _write(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def _unlike(start: int, n: int) -> list[tuple[int, int, int]]:
    """Rows of which no two are equal, half of each class."""
    return [(start + i, 0, i % 2) for i in range(n)]


def test_twins_whose_labels_are_noisy_are_innocent(looked_up):
    rows = [(i % 2, i % 3, int(i % 5 == 0) ^ (i % 2)) for i in range(300)]
    found = looked_up(rows[:100], rows[100:200], rows[200:])
    assert found.training.found == found.training.asked == 200
    assert found.training.right == 160
    assert not found.training.tell
    assert not found.validation.tell


def test_twins_whose_labels_agree_are_copies_however_a_number_is_written(looked_up):
    train = _unlike(0, 50)
    copies = [(f"{a}.0", b, f"{label}.0") for a, b, label in train[:10]]
    found = looked_up(train, [*copies, *_unlike(100, 40)], _unlike(200, 50))
    assert (found.training.asked, found.training.found, found.training.right) == (100, 10, 10)
    assert found.training.by_chance == pytest.approx(5)
    assert found.training.tell
    assert not found.validation.found


def test_test_rows_that_stand_in_validation_are_copies(looked_up):
    valid = _unlike(100, 50)
    found = looked_up(_unlike(0, 50), valid, [*valid[:5], *_unlike(200, 45)])
    assert (found.validation.asked, found.validation.found) == (50, 5)
    assert found.validation.tell
    assert not found.training.found


def test_what_the_most_frequent_class_tells_is_no_copy(looked_up):
    frequent = [(1, 1, 0)] * 50
    found = looked_up(frequent, [*frequent, *_unlike(0, 2)], [*frequent, *_unlike(9, 2)])
    assert found.training.right == found.training.found == 100
    assert not found.training.tell


def test_rows_of_arrays_are_features(looked_up, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (12, 4, 4), dtype=np.uint8)
    (tmp_path / "public").mkdir()
    rows = [(i % 2,) for i in range(12)]
    np.save(tmp_path / "public" / "train_images.npy", images[:6])
    # In the order of predict.csv: three test rows, three of validation.
    np.save(tmp_path / "public" / "predict_images.npy", images[[6, 7, 8, 2, 9, 10]])
    found = looked_up(rows[:6], rows[2:5], rows[6:9], features="")
    assert (found.training.asked, found.training.found, found.training.right) == (6, 1, 1)


def test_without_shared_features_nothing_is_said(looked_up):
    rows = [(0,), (1,)]
    assert looked_up(rows, rows, rows, features="") is None
