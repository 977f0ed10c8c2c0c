"""From package to prepared task: what is built, what is refused, what is never trusted."""

import csv
import random
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ml_agent.assets import cache_home
from ml_agent.core.errors import TaskError
from ml_agent.tasks import METRICS, find_prepared, load_package, prepare
from ml_agent.tasks.splits import digest_splits, validate_splits
from ml_agent.tasks.test_split import grade_baselines


def scores_by_formula(folder: Path) -> tuple[float, float]:
    """m_init and m_best of the tiny task, from its data and the two scripts' formulas."""

    def rows(name):
        with (folder / name).open() as file:
            return list(csv.DictReader(file))

    train = [(float(r["x"]), float(r["y"])) for r in rows("public/train.csv")]
    x = {r["id"]: float(r["x"]) for r in rows("public/predict.csv")}
    truth = {r["id"]: float(r["label"]) for r in rows("answers/valid.csv")}
    low, high = ([y for v, y in train if (v > 0.5) == half] for half in (False, True))
    means = (sum(low) / len(low), sum(high) / len(high))
    starter = sum(abs(truth[i] - means[x[i] > 0.5]) for i in truth) / len(truth)
    mx, my = (sum(pair[k] for pair in train) / len(train) for k in (0, 1))
    slope = sum((a - mx) * (b - my) for a, b in train) / sum((a - mx) ** 2 for a, _ in train)
    best = sum(abs(truth[i] - my - slope * (x[i] - mx)) for i in truth) / len(truth)
    return starter, best


def test_a_prepared_task_holds_what_was_measured(write_package, open_box, grader):
    package = load_package(write_package())
    assert find_prepared(package) is None
    prepared = prepare(package, experiment=open_box, grader=grader)
    assert find_prepared(package) == prepared
    task = prepared.task
    starter, best = scores_by_formula(prepared.public.parent)
    assert task.m_init == pytest.approx(starter, rel=1e-9)
    assert task.m_best == pytest.approx(best, rel=1e-9)
    assert task.splits == digest_splits(prepared.public, prepared.answers)
    assert b"halves" in prepared.workspace["train.py"]
    assert sorted(p.name for p in prepared.public.iterdir()) == ["predict.csv", "train.csv"]
    on_test = grade_baselines(grader, prepared)
    assert on_test.reference.value < on_test.starter.value


def test_a_task_without_a_reference_has_the_perfect_value_for_its_best(
    write_package, open_box, grader, tmp_path
):
    card = ("[metric]", "reference = false\n[metric]")
    folder = write_package({"reference/train.py": None, "task.toml": card})
    kept = tmp_path / "kept"
    prepared = prepare(load_package(folder), experiment=open_box, grader=grader, home=kept)
    starter, _ = scores_by_formula(prepared.public.parent)
    assert prepared.task.m_init == pytest.approx(starter, rel=1e-9)
    assert prepared.task.m_best == 0.0
    assert prepared.public.parent.parent == kept
    assert not (prepared.answers / "reference.csv").exists()


def test_labels_are_closed_to_other_users_and_data_open(write_package, open_box, grader):
    prepared = prepare(load_package(write_package()), experiment=open_box, grader=grader)
    assert stat.S_IMODE(prepared.answers.stat().st_mode) == 0o700
    assert stat.S_IMODE(prepared.public.stat().st_mode) == 0o755
    assert stat.S_IMODE((prepared.public / "train.csv").stat().st_mode) == 0o644


def test_the_second_call_reads_the_cache_and_runs_nothing(write_package, open_box, grader):
    package = load_package(write_package())
    first = prepare(package, experiment=open_box, grader=grader)

    def never(*_):
        raise AssertionError("a prepared task was measured again")

    assert prepare(package, experiment=never) == first


def test_reading_the_cache_imports_no_heavy_library(write_package, open_box, grader):
    folder = write_package()
    prepare(load_package(folder), experiment=open_box, grader=grader)
    code = (
        "import sys; from pathlib import Path; from ml_agent.tasks import load_package, prepare; "
        f"prepare(load_package(Path({str(folder)!r})), experiment=None); "
        "print([m for m in ('pandas', 'numpy', 'sklearn', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_another_seed_or_another_file_is_another_preparation(write_package, open_box, grader):
    first = prepare(load_package(write_package()), experiment=open_box, grader=grader)
    again = prepare(load_package(write_package()), experiment=open_box, grader=grader, seed=0)
    other = prepare(load_package(write_package()), experiment=open_box, grader=grader, seed=1)
    changed = write_package({"starter/train.py": ("0.5", "0.4")})
    edited = prepare(load_package(changed), experiment=open_box, grader=grader)
    assert again == first
    assert len({p.public for p in (first, other, edited)}) == 3
    assert other.task.splits != first.task.splits
    assert edited.task.splits == first.task.splits


def test_a_damaged_preparation_is_named(write_package, open_box, grader):
    package = load_package(write_package())
    folder = prepare(package, experiment=open_box, grader=grader).public.parent
    (folder / "task.json").write_text("{")
    with pytest.raises(TaskError, match=r"is damaged.*Delete it"):
        prepare(package, experiment=open_box, grader=grader)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("prepare.py", ("import csv, random", "import no_such"), "ModuleNotFoundError: No module"),
        ("prepare.py", ("def prepare", "def prepared"), "KeyError: 'prepare'"),
        ("starter/train.py", ("halves = ", "raise ValueError('oh')\nhalves = "), "ValueError: oh"),
        ("starter/train.py", ("submission.csv", "other.csv"), "wrote no submission.csv"),
        ("starter/train.py", ("id,prediction", "id,y"), "cannot be graded: submission.csv: the"),
        ("reference/train.py", ("my + slope", "'no' + my + slope"), "reference/train.py failed"),
        ("reference/train.py", ("{my + slope * (x - mx)}", "0"), "does not beat the starter"),
    ],
)
def test_a_package_that_fails_is_a_task_error_in_one_line(
    write_package, open_box, grader, name, change, said
):
    package = load_package(write_package({name: change}))
    with pytest.raises(TaskError, match=said) as caught:
        prepare(package, experiment=open_box, grader=grader)
    assert "\n" not in str(caught.value)


def test_a_failed_preparation_leaves_nothing_behind(write_package, open_box, grader):
    package = load_package(write_package({"starter/train.py": "raise SystemExit(3)"}))
    for _ in range(2):
        with pytest.raises(TaskError, match="failed \\(exit code 3\\)"):
            prepare(package, experiment=open_box, grader=grader)
    assert list((cache_home() / "tasks").iterdir()) == []


def test_an_interrupt_leaves_nothing_behind(write_package):
    def interrupted(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(load_package(write_package()), experiment=interrupted)
    assert list((cache_home() / "tasks").iterdir()) == []


def test_a_full_disk_is_no_fault_of_the_package(write_package, open_box, grader):
    from ml_agent.core.errors import DiskFull

    spoiled = (
        "rng = random.Random(seed)",
        "import errno; raise OSError(errno.ENOSPC, 'No space left on device')",
    )
    with pytest.raises(DiskFull, match="the disk is full"):
        prepare(
            load_package(write_package({"prepare.py": spoiled})), experiment=open_box, grader=grader
        )


def test_prepare_sees_none_of_our_environment(write_package, open_box, grader, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    looking = ("rng = ", "import os; assert 'SECRET_TOKEN' not in os.environ; rng = ")
    prepare(
        load_package(write_package({"prepare.py": looking})), experiment=open_box, grader=grader
    )


def write_csv(path: Path, *rows: tuple) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture
def splits(tmp_path):
    """Prepared data of 20 rows, ten a split; (public, answers, ids in predict.csv's order)."""
    public, answers = tmp_path / "public", tmp_path / "answers"
    public.mkdir()
    answers.mkdir()
    ids = [f"r{i}" for i in random.Random(1).sample(range(20), 20)]
    write_csv(public / "train.csv", ("id", "x", "y"), ("t1", 1, 2), ("t2", 2, 4))
    write_csv(public / "predict.csv", ("id", "x"), *[(i, int(i[1:]) / 7) for i in ids])
    for name, part in (("valid", range(10)), ("test", range(10, 20))):
        write_csv(answers / f"{name}.csv", ("id", "label"), *[(f"r{i}", i * i) for i in part])
    return public, answers, ids


def refusal(splits, metric: str = "mae") -> str:
    with pytest.raises(TaskError) as caught:
        validate_splits(splits[0], splits[1], METRICS[metric])
    return str(caught.value)


def test_honest_splits_are_let_through(splits):
    validate_splits(splits[0], splits[1], METRICS["mae"])


def test_an_id_in_both_splits_is_refused(splits):
    with (splits[1] / "test.csv").open("a") as file:
        file.write("r3,9\n")
    assert "1 ids are in valid.csv and in test.csv: 'r3'" in refusal(splits)


def test_missing_answers_and_bad_labels_are_refused(splits):
    _, answers, _ = splits
    content = (answers / "test.csv").read_text()
    (answers / "test.csv").write_text(content.replace("r12,144", "r12,"))
    assert "test.csv: 1 value is not a finite number: '' for id 'r12'" in refusal(splits)
    (answers / "test.csv").write_text(content.replace("label", "target"))
    assert "test.csv: the header is 'id,target'" in refusal(splits)
    (answers / "test.csv").unlink()
    assert "test.csv" in refusal(splits)


def test_labels_must_fit_the_metric(splits):
    assert "valid.csv: this metric wants labels 0 and 1" in refusal(splits, "auc")
    assert "valid.csv: this metric divides by the truth" in refusal(splits, "mape")
    validate_splits(splits[0], splits[1], METRICS["qwk"])
    content = (splits[1] / "test.csv").read_text()
    (splits[1] / "test.csv").write_text(content.replace("r12,144", "r12,144.5"))
    assert "test.csv: this metric wants whole numbers as labels" in refusal(splits, "qwk")


def test_predict_and_answers_hold_the_same_ids(splits):
    public, _, ids = splits
    write_csv(public / "predict.csv", ("id", "x"), *[(i, 0) for i in ids[1:]])
    assert f"differ in 1 ids ('{ids[0]}')" in refusal(splits)
    write_csv(public / "predict.csv", ("id", "x"), *[(i, 0) for i in [*ids, ids[0]]])
    assert "predict.csv: 1 ids repeat" in refusal(splits)
    (public / "predict.csv").unlink()
    assert "wrote no public/predict.csv" in refusal(splits)


def test_splits_in_blocks_are_refused(splits):
    rows = [(f"r{i}", i / 7) for i in range(20)]
    write_csv(splits[0] / "predict.csv", ("id", "x"), *rows)
    assert "validation and test rows in 2 blocks" in refusal(splits)


def test_a_label_column_under_another_name_is_refused(splits):
    public, _, ids = splits
    rows = [(i, 0.5, float(int(i[1:]) ** 2)) for i in ids]
    write_csv(public / "predict.csv", ("id", "x", "z"), *rows)
    assert "public/predict.csv: column z equals the labels" in refusal(splits)


def test_a_second_file_with_labels_is_refused(splits):
    public, answers, ids = splits
    (public / "extra").mkdir()
    (public / "extra/sample.csv").write_bytes((answers / "valid.csv").read_bytes())
    assert "public/extra/sample.csv: column label equals" in refusal(splits)
    few = [f"r{i}" for i in range(10, 18)]
    write_csv(public / "extra/sample.csv", ("id", "z"), *[(i, int(i[1:]) ** 2) for i in few])
    assert "public/extra/sample.csv: column z equals" in refusal(splits)
    write_csv(public / "extra/sample.csv", ("guess",), *[(int(i[1:]) ** 2,) for i in ids])
    assert "public/extra/sample.csv: column guess equals" in refusal(splits)


def test_an_array_with_labels_is_refused(splits):
    import numpy as np

    public, _, ids = splits
    labels = np.array([int(i[1:]) ** 2 for i in ids])
    np.save(public / "predict.npy", np.stack([labels * 0, labels], axis=1))
    assert "public/predict.npy: array predict, column 1 equals" in refusal(splits)


def test_an_array_that_needs_unpickling_is_refused(splits):
    import numpy as np

    np.save(splits[0] / "predict.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    assert "without unpickling" in refusal(splits)


def test_a_link_in_the_public_data_is_refused(splits):
    (splits[0] / "more.csv").symlink_to(splits[1] / "valid.csv")
    assert "public/more.csv is no regular file" in refusal(splits)
