"""The admission checks: an honest task passes, each kind of bad one fails by name."""

import math
import statistics
from pathlib import Path

import pytest

from ml_agent.tasks import Malformed, Score, load_package, prepare
from ml_agent.tasks.checks import check, clear_of_noise, no_op, standard_error
from ml_agent.tasks.preparation import cut_again, measure

ALL = [
    "prepares",
    "prepare.py writes the same again",
    "starter inside its budget",
    "starter scores the same again",
    "reference beats starter on validation",
    "reference beats starter on test",
    "a constant is no better than the starter",
    "grading again gives the same number",
    "no label within reach of a box",
    "no label to be looked up from a copy",
]


@pytest.fixture
def failures(write_package, box, grader):
    """Check the tiny package with changes; what fails, by name."""

    def run(changes) -> dict[str, str]:
        report = check(load_package(write_package(changes)), experiment=box, grader=grader)
        found = {one.name: one.found for one in report.checks if not one.passed}
        assert report.passed == (not found)
        return found

    return run


def test_an_honest_task_passes_every_check(write_package, box, grader):
    report = check(load_package(write_package()), experiment=box, grader=grader)
    assert [one.name for one in report.checks if one.passed] == ALL, report
    assert report.passed
    assert report.task == "tiny-line"


def test_a_slow_starter_is_caught(failures):
    slow = "import time\nwhile time.process_time() < 3.1:\n    pass\nimport csv"
    found = failures({"starter/train.py": ("import csv", slow)})
    assert list(found) == ["starter inside its budget"]
    assert "it must succeed in under 3 s CPU" in found["starter inside its budget"]


def test_a_starter_over_its_limits_is_caught(failures):
    found = failures(
        {
            "starter/train.py": ("import csv", "import time; time.sleep(60)"),
            "task.toml": ("wall_s = 20.0", "wall_s = 0.5"),
        }
    )
    assert list(found) == ["prepares"]
    assert "met its time limit" in found["prepares"]


def test_a_reference_no_better_than_the_starter_is_caught(failures):
    as_starter = "{sum(y for v, y in train if (v > 0.5) == (x > 0.5))"
    as_starter += " / sum((v > 0.5) == (x > 0.5) for v, y in train)}"
    found = failures({"reference/train.py": ("{my + slope * (x - mx)}", as_starter)})
    assert list(found) == [
        "reference beats starter on validation",
        "reference beats starter on test",
    ]


def test_a_starter_worse_than_a_constant_is_caught(failures):
    found = failures({"starter/train.py": ("{means[x > 0.5]}", "0")})
    assert list(found) == ["a constant is no better than the starter"]


def test_a_starter_that_plays_dice_is_caught(failures):
    dice = "{means[x > 0.5] + __import__('random').random() / 9}"
    found = failures({"starter/train.py": ("{means[x > 0.5]}", dice)})
    assert list(found) == ["starter scores the same again"]
    assert "fix every random_state" in found["starter scores the same again"]


def test_a_starter_that_meets_a_limit_is_not_called_random(write_package, box, grader):
    slow = {"starter/train.py": ("import csv", "import csv, time; time.sleep(0.5)")}
    package = load_package(write_package(slow))
    for seed in package.card.seeds:
        prepare(package, experiment=box, grader=grader, seed=seed)

    def hasty(files, data, script, limits):
        return box(files, data, script, limits.model_copy(update={"wall_s": 0.3}))

    report = check(package, experiment=hasty, grader=grader)
    found = {one.name: one.found for one in report.checks if not one.passed}
    assert "it must succeed" in found["starter inside its budget"]
    assert found["starter scores the same again"] == "not asked: it did not succeed"


def test_splits_that_do_not_follow_from_the_seed_are_caught(failures):
    found = failures({"prepare.py": ("random.Random(seed)", "random.Random()")})
    assert list(found) == ["prepare.py writes the same again"]
    told = found["prepare.py writes the same again"]
    assert "others (public, valid, test): draw everything from the seed" in told


def test_the_time_of_day_in_an_archive_is_named(failures):
    zipped = """rng = random.Random(seed)
    import gzip, time
    (public / "x.gz").write_bytes(gzip.compress(b"x", mtime=time.time_ns() // 10**6 % 2**32))"""
    found = failures({"prepare.py": ("rng = random.Random(seed)", zipped)})
    assert list(found) == ["prepare.py writes the same again"]
    told = found["prepare.py writes the same again"]
    assert "others (public): " in told
    assert "gzip: mtime" in told


def test_labels_cut_again_lie_where_prepared_tasks_do(write_package, tmp_path):
    told = tmp_path / "place.txt"
    telling = f"rng = random.Random(seed)\n    open({str(told)!r}, 'w').write(str(answers))"
    package = load_package(write_package({"prepare.py": ("rng = random.Random(seed)", telling)}))
    cut_again(package, 0)
    answers = Path(told.read_text())
    tasks = tmp_path / "home" / "tasks"
    assert answers.is_relative_to(tasks)
    assert answers.relative_to(tasks).parts[0].startswith(".partial-")
    assert not list(tasks.iterdir())


def test_training_rows_among_those_to_predict_are_caught(failures):
    copied = "x[60:80], y[60:80] = x[:20], y[:20]\n    rows = "
    found = failures({"prepare.py": ("rows = ", copied)})
    assert list(found) == ["no label to be looked up from a copy"]
    told = found["no label to be looked up from a copy"]
    assert told.startswith("20 of 80 rows to predict equal a training row in every feature, and 20")
    assert "drop repeated rows" in told


def test_equal_features_with_labels_of_their_own_are_let_through(failures):
    assert not failures({"prepare.py": ("[rng.random() for", "[round(rng.random(), 1) for")})


@pytest.mark.parametrize("end", ["", " + [[]]"])
def test_labels_in_the_data_are_caught(failures, end):
    leaking = (
        '["id", "x"], [rows[i][:2] for i in held]',
        '["id", "x", "z"], [rows[i] for i in held]',
    )
    found = failures({"prepare.py": (leaking[0], leaking[1] + end)})
    assert list(found) == ["prepares"]
    assert "column z equals the labels" in found["prepares"]


def test_a_solution_in_the_data_is_caught(failures):
    copied = 'rng = random.Random(seed)\n    (public / "notes.txt").write_bytes('
    copied += "__import__('pathlib').Path(__file__).with_name('reference')"
    copied += ".joinpath('train.py').read_bytes())"
    found = failures({"prepare.py": ("rng = random.Random(seed)", copied)})
    assert list(found) == ["no label within reach of a box"]
    reach = found["no label within reach of a box"]
    assert reach.startswith("REACHED reference/train.py: ")
    assert "notes.txt" in reach


def test_bundled_data_that_a_box_shows_is_caught(failures):
    copied = """rng = random.Random(seed)
    import importlib.util, pathlib  # to find the data of sklearn.datasets without importing it
    place = importlib.util.find_spec("sklearn").submodule_search_locations[0]
    bundled = pathlib.Path(place, "datasets/data/digits.csv.gz").read_bytes()
    (public / "x.gz").write_bytes(bundled)"""
    found = failures({"prepare.py": ("rng = random.Random(seed)", copied)})
    assert "scikit-learn's" in found["no label within reach of a box"]


def test_the_margin_is_above_two_standard_errors():
    assert standard_error([1.0, 2.0, 3.0]) == pytest.approx(1 / 3**0.5)
    assert clear_of_noise([1.0, 2.0, 3.0])  # 2 > 2 * 0.577
    assert not clear_of_noise([0.1, 3.0, 0.1])  # 1.07 < 2 * 0.97
    assert not clear_of_noise([5.0, 5.0, -0.1])  # one seed loses
    assert not clear_of_noise([5.0])  # one seed shows no noise


def test_a_no_op_says_the_same_for_every_row(write_package, open_box, grader):
    prepared = prepare(load_package(write_package()), experiment=open_box, grader=grader)
    constants = no_op(prepared)
    assert list(constants) == ["best number"]
    labels = _validation_labels(prepared)
    middle = statistics.median(labels)
    found = grader.validation(prepared, constants["best number"])
    assert not isinstance(found, Malformed)
    assert found.value == pytest.approx(statistics.fmean(abs(y - middle) for y in labels))


@pytest.mark.parametrize("name", ["mape", "rmsle"])
def test_a_no_op_is_the_constant_that_its_metric_likes_best(write_package, open_box, grader, name):
    skewed = {
        "prepare.py": ("3 * v + 5 + rng.gauss(0, 0.1)", "10 ** (3 * v)"),
        "task.toml": ('"mae"', f'"{name}"'),
        "reference/train.py": ("{my + slope * (x - mx)}", "{my}"),
    }
    prepared = measure(load_package(write_package(skewed)), experiment=open_box, grader=grader)
    labels = _validation_labels(prepared)
    best = {
        # Their median, each label weighing 1 / label, is one of them.
        "mape": min(statistics.fmean(abs(y - c) / y for y in labels) for c in labels),
        "rmsle": statistics.pstdev(math.log1p(y) for y in labels),
    }[name]
    found = grader.validation(prepared, no_op(prepared)["best number"])
    assert isinstance(found, Score)
    assert best * 0.999 <= found.value <= best * 1.05


def _validation_labels(prepared) -> list[float]:
    rows = (prepared.answers / "valid.csv").read_text().split()[1:]
    return [float(row.split(",")[1]) for row in rows]
