"""Task folders of mle-bench and MLAgentBench: what is read of them, what is not, and bad ones."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmark_folders import SECRET, mlagentbench, mle_bench, probabilities
from sklearn.metrics import log_loss
from solve_fixtures import Solver
from user_folders import houses

from ml_agent.cli.main import run
from ml_agent.core.errors import UsageError
from ml_agent.solve.perceive import Found, perceive
from ml_agent.solve.records import Hints
from ml_agent.tasks import METRICS
from ml_agent.tasks.grading import Answers

_LISTENERS: list[list[Path]] = []


def _listen(event: str, arguments: tuple) -> None:
    if event == "open" and isinstance(arguments[0], str):
        for one in _LISTENERS:
            one.append(Path(arguments[0]))


# Hooks cannot be taken off again; this one says nothing while nobody listens.
sys.addaudithook(_listen)


def looked_at(path: Path, monkeypatch, capsys) -> tuple[str, dict]:
    """What `solve PATH --look` says, in lines and as JSON."""
    said = []
    for arguments in ([], ["--json"]):
        monkeypatch.setattr(sys, "argv", ["ml-agent", "solve", str(path), "--look", *arguments])
        assert run() == 0
        said.append(capsys.readouterr().out)
    return said[0], json.loads(said[1])


def refusal(path: Path, **hints: str) -> str:
    with pytest.raises(UsageError) as raised:
        perceive(path, Hints(**hints))
    said = str(raised.value)
    assert "\n" not in said
    return said


def files_with(secret: str, folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and secret.encode() in path.read_bytes()
    ]


def test_a_prepared_competition_is_seen_as_its_agent_sees_it(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    root = mle_bench(tmp_path, grader="root-mean-squared-logarithmic-error")
    lines, told = looked_at(root, monkeypatch, capsys)
    assert "benchmark        mle-bench, houses-2024, because it has prepared/public" in lines
    assert "metric           rmsle, lower is better, because config.yaml names it" in lines
    assert (told["name"], told["target"], told["id"]) == ("houses-2024", "SalePrice", "Id")
    assert told["answer_columns"] == ["Id", "SalePrice"]
    assert str(SECRET) not in lines + json.dumps(told)


@pytest.mark.parametrize("part", ["", "prepared", "prepared/public"])
def test_any_of_a_competitions_folders_may_be_given(part: str, tmp_path: Path) -> None:
    found = perceive(mle_bench(tmp_path) / part, Hints())
    assert found.perceived.name == "houses-2024"
    assert (len(found.material.labelled), len(found.material.unseen_ids)) == (110, 40)
    assert SECRET not in set(found.material.labelled["SalePrice"])


def test_without_its_config_the_description_says_how_it_is_measured(tmp_path: Path) -> None:
    found = perceive(mle_bench(tmp_path), Hints()).perceived
    assert found.metric.name == "mae"
    assert any(one.because == "description.md names it" for one in found.conclusions)


@pytest.mark.parametrize(
    "said", ["MAE, trading precision for recall", "the mean absolute error (not the error rate)"]
)
def test_an_ordinary_word_beside_a_metric_makes_no_other_of_it(said: str, tmp_path: Path) -> None:
    root = mle_bench(tmp_path)
    description = root / "prepared/public/description.md"
    description.write_text(f"# Evaluation\n\nSubmissions are evaluated on {said}.\n")
    assert perceive(root, Hints()).perceived.metric.name == "mae"
    description.write_text("# Evaluation\n\nThe mean of MAE and RMSPE.\n")
    assert "asks for 'The mean of MAE and RMSPE.', which cannot be computed" in refusal(root)


@pytest.mark.parametrize(
    ("grader", "metric"),
    [
        ("root-mean-squared-error", "rmse"),
        ("mean-absolute-error", "mae"),
        ("pearson-correlation-coefficient", "pearson"),
        ('"mean-column-wise-rmsle"', "rmsle"),
    ],
)
def test_the_graders_name_decides_whatever_else_is_written(
    grader: str, metric: str, tmp_path: Path
) -> None:
    found = perceive(mle_bench(tmp_path, grader=grader), Hints()).perceived
    assert found.metric.name == metric
    alone = "config.yaml asks for a mean over columns; here SalePrice counts alone."
    assert (alone in found.warnings) == ("column" in grader)


def test_what_the_user_says_goes_before_the_benchmark(tmp_path: Path) -> None:
    root = mle_bench(tmp_path, grader="dice-hausdorff-combo")
    assert perceive(root, Hints(metric="mae")).perceived.metric.name == "mae"
    assert perceive(root, Hints(say="by RMSE")).perceived.metric.name == "rmse"


def test_a_task_of_mlagentbench_is_seen_as_its_agent_sees_it(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    root = mlagentbench(tmp_path)
    lines, told = looked_at(root, monkeypatch, capsys)
    assert "benchmark        MLAgentBench, house-price, because it has env and scripts" in lines
    assert "metric           mae, lower is better, because scripts/eval.py names it" in lines
    assert (told["name"], told["target"], told["id"]) == ("house-price", "SalePrice", "Id")
    assert not (tmp_path / "ran").exists()
    found = perceive(root / "env", Hints())
    assert (found.perceived.name, found.perceived.metric.name) == ("house-price", "mae")
    assert found.material.unseen_ids == tuple(map(str, houses()["Id"][110:]))


def test_the_script_of_a_task_may_be_given_to_start_from(tmp_path: Path) -> None:
    found = perceive(mlagentbench(tmp_path) / "env" / "train.py", Hints())
    assert found.script == b"# fill this in\n"
    assert found.perceived.metric.name == "mae"


@pytest.mark.parametrize(
    ("source", "metric"),
    [
        ("from sklearn.metrics import accuracy_score", "accuracy"),
        ("acc = 0\nfor one in rows:\n    acc += one", "accuracy"),
        ("from sklearn.metrics import roc_auc_score as judge", "auc"),
        # Named, but perhaps another by what stands beside it.
        ("from sklearn.metrics import mean_squared_error\nnp.sqrt(mean_squared_error(a, b))", None),
        ("f1_score(a, b, average='micro')", None),
        ("mae = rmse = 0", None),
        ("def broken(", None),
        ("", None),
    ],
)
def test_code_names_a_metric_plainly_or_not_at_all(
    source: str, metric: str | None, tmp_path: Path
) -> None:
    root = mlagentbench(tmp_path)
    train = root / "env" / "train.csv"
    rows = houses()[:110]
    above = rows["SalePrice"] > rows["SalePrice"].median()
    rows.assign(SalePrice=above.astype(int)).to_csv(train, index=False)
    (root / "scripts" / "eval.py").write_text(source)
    if metric is None:
        assert "names its metric plainly. Say it with --metric: accuracy, " in refusal(root)
        (root / "env" / "evaluation_details.txt").write_text("We measure classification accuracy.")
        metric = "accuracy"
    assert perceive(root, Hints()).perceived.metric.name == metric


@pytest.mark.parametrize("made", [mle_bench, mlagentbench])
def test_no_answer_and_no_raw_data_are_ever_opened(
    made: Callable[[Path], Path], tmp_path: Path
) -> None:
    root = made(tmp_path)
    opened: list[Path] = []
    _LISTENERS.append(opened)
    perceive(root, Hints())
    _LISTENERS.remove(opened)
    inside = {path.relative_to(root).as_posix() for path in opened if root in path.parents}
    if made is mle_bench:
        assert {path.rpartition("/")[0] for path in inside} == {"prepared/public"}
    else:
        outside = {path for path in inside if not path.startswith("env/")}
        assert outside == {"scripts/eval.py"}
    assert any(path.endswith("/train.csv") for path in inside)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("scripts/eval.py", "(" * 100_000),
        ("scripts/eval.py", "-" * 100_000 + "1"),
        ("scripts/eval.py", "x = '\\d'\n" + "1+" * 100_000 + "1"),
        ("scripts/eval.py", "\0"),
        ("scripts/research_problem.txt", "# evaluation " + "](" * 100_000),
        ("scripts/research_problem.txt", "## Evaluation\n" + "#" * 200_000 + "\n" + "a" * 50_000),
    ],
)
def test_a_hostile_file_of_a_benchmark_says_nothing(
    file: str, content: str, tmp_path: Path
) -> None:
    root = mlagentbench(tmp_path)
    (root / "scripts" / "eval.py").unlink()
    (root / file).write_text(content)
    assert "names its metric plainly" in refusal(root)


@pytest.mark.parametrize(
    ("config", "metric"),
    [
        ("grader:\n" + "    a: b\n" * 2_000 + "preparer: x\n", None),
        ("grader:\r\n  grade_fn: x\r\n  name: 'rmse'\r\npreparer: x\r\n", "rmse"),
        ("name: rmse\n", None),
        ("grader:\nname: rmse\n", None),
    ],
)
def test_a_config_names_its_grader_or_is_passed_over(
    config: str, metric: str | None, tmp_path: Path
) -> None:
    root = mle_bench(tmp_path)
    (root / "config.yaml").write_bytes(config.encode())
    assert perceive(root, Hints()).perceived.metric.name == (metric or "mae")


def test_an_unknown_metric_is_refused_and_not_replaced(tmp_path: Path) -> None:
    said = refusal(mle_bench(tmp_path / "a", grader="dice-hausdorff-combo"))
    assert "config.yaml asks for 'dice-hausdorff-combo', which cannot be computed here" in said
    assert "--metric: accuracy, macro_f1" in said
    root = mlagentbench(tmp_path / "b")
    (root / "scripts" / "eval.py").write_text("from train import smapep1\n")
    assert "scripts/eval.py asks for 'smapep1', which cannot be computed here" in refusal(root)


def test_a_metric_that_does_not_fit_the_target_is_refused(tmp_path: Path) -> None:
    said = refusal(mle_bench(tmp_path, grader="log-loss"))
    assert said.startswith("multiclass_log_loss does not fit: the target has ")


def remove(*paths: Path) -> None:
    for path in paths:
        if path.is_dir():
            remove(*path.iterdir())
            path.rmdir()
        else:
            path.unlink()


def test_a_competition_without_its_data_is_refused_in_one_line(tmp_path: Path) -> None:
    root = mle_bench(tmp_path, grader="mean-absolute-error")
    remove(root / "prepared" / "public")
    said = refusal(root)
    assert "is a competition of mle-bench without prepared/public" in said
    assert "Make them with `mlebench prepare -c houses-2024`" in said
    # The folder of the competition in mle-bench's own repository.
    remove(root / "prepared", root / "raw")
    (root / "leaderboard.csv").write_text("score,date\n" + "0.5,2024\n" * 50)
    assert "without prepared/public" in refusal(root)


def test_a_competition_whose_data_are_no_tables_is_refused_in_one_line(tmp_path: Path) -> None:
    root = mle_bench(tmp_path, grader="auc-roc")
    for name in ("train", "test"):
        (root / "prepared" / "public" / f"{name}.csv").rename(
            root / "prepared" / "public" / f"{name}.json"
        )
    assert "holds no table and no images (test.json, train.json)" in refusal(root)


def test_an_unprepared_task_of_mlagentbench_is_refused_in_one_line(tmp_path: Path) -> None:
    root = mlagentbench(tmp_path)
    remove(*(root / "env").glob("*.csv"))
    said = refusal(root)
    assert "holds no table and no images" in said
    assert "scripts/prepare.py makes them and is not run here: run it yourself." in said
    remove(root / "env")
    assert "is a task of MLAgentBench without env, its data" in refusal(root)
    assert not (tmp_path / "ran").exists()


def test_a_folder_of_several_tasks_is_refused_in_one_line(tmp_path: Path) -> None:
    mle_bench(tmp_path)
    mlagentbench(tmp_path)
    said = refusal(tmp_path)
    assert "holds tasks of a benchmark. Give the folder of one: house-price, houses-2024" in said


def test_answers_are_not_read_even_from_further_above(tmp_path: Path) -> None:
    mle_bench(tmp_path / "data" / "deeper")
    remove(tmp_path / "data" / "deeper" / "houses-2024" / "raw")
    found = perceive(tmp_path / "data", Hints())
    assert SECRET not in set(found.material.labelled["SalePrice"])
    assert found.material.unseen is not None
    assert "SalePrice" not in found.material.unseen


def test_a_folder_that_only_looks_like_a_benchmarks_is_the_users_own(tmp_path: Path) -> None:
    houses().to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "config.yaml").write_text("grader:\n  name: mine\n")
    for name in ("prepared", "env", "scripts"):
        (tmp_path / name).mkdir()
    (tmp_path / "scripts" / "prepare.py").write_text("")
    found: Found = perceive(tmp_path, Hints(target="SalePrice"))
    assert not any(one.about == "benchmark" for one in found.perceived.conclusions)


def test_a_competition_is_solved_without_a_look_at_its_answers(
    tmp_path: Path, out: Path, solver: Solver
) -> None:
    root = mle_bench(tmp_path, grader="mean-absolute-error")
    outcome = solver.solve(root, out, experiments=2)
    assert files_with(str(SECRET), root)
    assert files_with(str(SECRET), out) == []

    # In the form its grader takes, and measured by us as by it: by hand.
    said = list(csv.reader((out / "best" / "predictions.csv").open()))
    asked = (root / "prepared" / "public" / "sample_submission.csv").read_text().splitlines()
    assert said[0] == asked[0].split(",")
    assert [row[0] for row in said[1:]] == [line.split(",")[0] for line in asked[1:]]
    truth = houses()["SalePrice"][110:].tolist()
    guesses = [float(row[1]) for row in said[1:]]
    by_hand = sum(abs(t - p) for t, p in zip(truth, guesses, strict=True)) / len(truth)
    assert outcome.metric.name == "mae"
    assert METRICS["mae"].compute(truth, guesses) == pytest.approx(by_hand)


def test_probabilities_of_classes_are_predicted_in_the_form_that_is_asked_for(
    tmp_path: Path, out: Path, solver: Solver
) -> None:
    root = probabilities(tmp_path)
    outcome = solver.solve(root, out, experiments=3)
    assert outcome.metric.name == "multiclass_log_loss"
    assert outcome.without_score == 0
    assert files_with(str(SECRET), out) == []

    # As their grader checks it: their columns, their ids, from 0 to 1, rows that add up to 1.
    said = pd.read_csv(out / "best" / "predictions.csv")
    asked = pd.read_csv(root / "prepared" / "public" / "sample_submission.csv")
    assert list(said.columns) == ["id", "tulip", "daisy", "rose"] == list(asked.columns)
    assert said["id"].to_list() == asked["id"].to_list()
    shares = said[["tulip", "daisy", "rose"]]
    assert np.isclose(shares.sum(axis=1), 1, atol=1e-6).all()

    # The scores of the starter, by scikit-learn, from what lies on the disk.
    (prepared,) = (out / "prepared").iterdir()
    answers = Answers.read(prepared / "answers")
    table = pd.read_csv(prepared / "answers" / "starter.csv", dtype={"id": str}).set_index("id")
    for labels, score in ((answers.valid, outcome.starter), (answers.test, outcome.starter_test)):
        rows = table.loc[list(labels), ["daisy", "rose", "tulip"]]
        assert score == pytest.approx(log_loss(list(labels.values()), rows.to_numpy()))


@pytest.mark.slow
def test_a_task_of_mlagentbench_is_solved_and_nothing_of_it_is_run(
    tmp_path: Path, out: Path, solver: Solver
) -> None:
    root = mlagentbench(tmp_path)
    outcome = solver.solve(root, out, experiments=2)
    assert outcome.metric.name == "mae"
    assert files_with(str(SECRET), out) == []
    assert not (tmp_path / "ran").exists()
    said = list(csv.reader((out / "best" / "predictions.csv").open()))
    answers = list(csv.reader((root / "scripts" / "answer.csv").open()))
    # Their eval.py compares row by row, so the order counts.
    assert [row[0] for row in said] == [row[0] for row in answers]
