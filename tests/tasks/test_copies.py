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


def test_arrays_need_no_table_of_training_rows(looked_up, tmp_path):
    x = np.random.default_rng(0).random((30, 2))
    looked_up([], _unlike(0, 10), _unlike(10, 10))
    public = tmp_path / "public"
    (public / "train.csv").unlink()
    np.save(public / "train_x.npy", x)
    np.save(public / "train_y.npy", np.arange(30) % 2.0)
    np.save(public / "predict_x.npy", x[[*range(10, 20), *range(10)]])  # test rows stand first
    found = find_copies(public, tmp_path / "answers").training
    assert (found.asked, found.found, found.right) == (20, 20, 20)
    assert found.tell


def test_labels_in_an_array_are_compared_by_value(looked_up, tmp_path):
    x = np.random.default_rng(0).random((20, 2))
    looked_up([()] * 20, _unlike(0, 10), _unlike(10, 10), features="")
    public = tmp_path / "public"
    (public / "train.csv").write_text("id\n" + "".join(f"t{i}\n" for i in range(20)))
    np.save(public / "train_x.npy", x)
    np.save(public / "train_y.npy", np.arange(20)[:, None] % 2)
    np.save(public / "predict_x.npy", x[[*range(10, 20), *range(10)]])
    assert find_copies(public, tmp_path / "answers").training.right == 20


def test_the_number_of_a_row_hides_no_copy(looked_up):
    rows = _unlike(0, 60)
    copied = [(i, f"{i}.png", 0.5 + a, b) for i, (a, _, b) in enumerate([*rows, *rows])]
    found = looked_up(copied[:60], copied[60:80], copied[80:100], features="abc")
    assert found.without == ("a", "b")
    assert (found.training.found, found.training.right) == (40, 40)
    assert found.tell


def test_features_are_not_left_aside_where_labels_differ(looked_up):
    rows = [(i, i % 3, (i // 3) % 2) for i in range(120)]
    found = looked_up(rows[:60], rows[60:90], rows[90:])
    assert not found.without
    assert not found.training.found


def test_a_blank_or_short_line_hides_no_copy(looked_up, tmp_path):
    train = _unlike(0, 60)
    looked_up(train, train[:20], train[20:40])
    with (tmp_path / "public" / "train.csv").open("a") as file:
        file.write("\nthe end\n\n")
    assert find_copies(tmp_path / "public", tmp_path / "answers").training.right == 40


def test_copies_of_a_rare_class_are_caught(looked_up):
    rare = [(i, 1, 1) for i in range(20)]
    frequent = [(i, 0, 0) for i in range(2000)]
    found = looked_up([*rare, *frequent[:980]], [*rare, *frequent[980:1470]], frequent[1470:1960])
    assert (found.training.asked, found.training.right) == (1000, 20)
    # All of the rare class but 20 * 20 / 1000 rows, nothing of the other.
    assert found.training.by_class == pytest.approx((1 - 0.4 / 20) / 2)
    assert found.training.tell


def test_an_accident_in_a_rare_class_is_no_copy(looked_up):
    rare = [(i, 1, 1) for i in range(20)]
    frequent = [(i, 0, 0) for i in range(2000)]
    asked = [*rare[16:], *frequent[980:1470]]
    found = looked_up([*rare, *frequent[:980]], asked, frequent[1470:1960])
    assert found.training.right == 4
    assert not found.training.tell


def test_why_nothing_can_be_compared_is_said(looked_up, tmp_path):
    rows = [(0,), (1,)]
    assert "share no column but id" in looked_up(rows, rows, rows, features="")
    rows = _unlike(0, 2)
    looked_up(rows, rows, rows)
    public = tmp_path / "public"
    (public / "train.csv").write_bytes((public / "predict.csv").read_bytes())
    assert "training rows have no column" in find_copies(public, tmp_path / "answers")
