"""Folders solved end to end: real boxes, real scores, the playbook alone."""

import csv
import io
import json
import math
import subprocess
import sys
from dataclasses import replace
from html import escape
from pathlib import Path

import pandas as pd
import pytest
from solve_fixtures import Solver
from user_folders import FOLDERS, flowers, houses, made

from ml_agent.assets import member
from ml_agent.sandbox import Snapshots
from ml_agent.solve.answer import too_many_to_predict, write_script
from ml_agent.solve.perceive import perceive
from ml_agent.solve.records import Hints
from ml_agent.solve.report import findings
from ml_agent.solve.search import Progress
from ml_agent.store import Stage, Store
from ml_agent.tasks import find_package, load_package
from ml_agent.tasks.grading import Answers


def rmse(truth: dict[str, float], predicted: dict[str, float]) -> float:
    """By the formula, of the rows whose truth is known."""
    return math.sqrt(sum((predicted[i] - truth[i]) ** 2 for i in truth) / len(truth))


def test_a_folder_becomes_a_better_script_with_predictions_and_a_report(
    tmp_path: Path, out: Path, solver: Solver
) -> None:
    outcome = solver.solve(made("csv_regression", tmp_path), out, experiments=8)
    assert outcome.improved
    assert outcome.best < outcome.starter
    assert outcome.experiments == 8
    assert outcome.ended == "the experiments are used up"

    rows = list(csv.reader((out / "best" / "predictions.csv").open()))
    assert rows[0] == ["Id", "SalePrice"]
    assert [row[0] for row in rows[1:]] == [str(i) for i in houses()["Id"][110:]]
    truth = dict(zip(map(str, houses()["Id"][110:]), houses()["SalePrice"][110:], strict=True))
    guesses = {row[0]: float(row[1]) for row in rows[1:]}
    mean = houses()["SalePrice"][:110].mean()
    assert rmse(truth, guesses) < 0.7 * rmse(truth, dict.fromkeys(truth, mean))

    # Without us, from best/ alone, the script says the same.
    alone = [sys.executable, "-I", "train.py"]
    subprocess.run(alone, cwd=out / "best", check=True, capture_output=True)
    written = pd.read_csv(out / "best" / "submission.csv")["prediction"]
    assert written.to_list() == pytest.approx(list(guesses.values()))

    report = (out / "report.html").read_text()
    assert all(escape(line) in report for line in findings(outcome))
    assert 'class="diff"' in report
    assert "labelled rows twice" in report
    assert json.loads((out / "result.json").read_text()) == outcome.model_dump(mode="json")

    # The search ended by experiments, and each improvement has its reason from the playbook.
    assert all(one.why[0].endswith(".") for one in outcome.improvements)
    sure = outcome.intervals
    assert sure.best is not None
    assert sure.best.low < outcome.best < sure.best.high


def test_the_scores_are_those_of_the_formula(tmp_path: Path, out: Path, solver: Solver) -> None:
    outcome = solver.solve(made("csv_regression", tmp_path), out, experiments=0)
    (prepared,) = (out / "prepared").iterdir()
    answers = Answers.read(prepared / "answers")
    submission = csv.DictReader((prepared / "answers" / "starter.csv").open())
    said = {row["id"]: float(row["prediction"]) for row in submission}
    valid, test = ({i: float(v) for i, v in one.items()} for one in (answers.valid, answers.test))
    assert outcome.starter == pytest.approx(rmse(valid, said))
    assert outcome.starter_test == pytest.approx(rmse(test, said))
    assert (len(valid), len(test)) == (22, 22)
    assert outcome.best_test == outcome.starter_test
    assert findings(outcome)[0].startswith("No improvement: nothing was tried.")


def test_no_label_that_is_graded_lies_in_the_public_data(
    tmp_path: Path, out: Path, solver: Solver
) -> None:
    solver.solve(made("csv_regression", tmp_path), out, experiments=0)
    (prepared,) = (out / "prepared").iterdir()
    hidden = Answers.read(prepared / "answers")
    shown = pd.read_csv(prepared / "public" / "train.csv", dtype=str)
    assert not (hidden.valid.keys() | hidden.test.keys()) & set(shown["id"])
    asked = pd.read_csv(prepared / "public" / "predict.csv", dtype=str)
    assert set(asked["id"]) == hidden.valid.keys() | hidden.test.keys()
    assert "SalePrice" not in asked


def test_a_script_that_crashes_is_said_so_and_ours_is_improved_on(
    tmp_path: Path, out: Path, solver: Solver
) -> None:
    script = made("crashing_script", tmp_path)
    before = script.read_bytes()
    outcome = solver.solve(script, out, experiments=6)
    assert script.read_bytes() == before
    assert "your script is no starter as it is" in solver.told[0]
    assert "random_state" in solver.told[0] or "modle" in solver.told[0]
    assert outcome.improved
    assert (out / "best" / "predictions.csv").exists()


def test_a_crash_that_the_playbook_knows_is_mended(
    tmp_path: Path, out: Path, solver: Solver
) -> None:
    script = made("crashing_script", tmp_path)
    wrong = script.read_text().replace("sklearn.linear_model", "sklearn.ensemble")
    script.write_text(wrong.replace('print("fitted", modle)\n', ""))
    solver.solve(script, out, experiments=8)
    store = Store(out / "store.sqlite")
    played = list(store.select(stage=Stage.SOLVE))
    store.close()
    mended = [one for one in played if "guesses =" in one.prompt_of(0)[-1].text]
    assert any(step.score is not None for one in mended for step in one.steps)


def test_a_script_in_the_expected_form_is_the_starter(
    tmp_path: Path, out: Path, solver: Solver
) -> None:
    script = made("crashing_script", tmp_path)
    right = script.read_text().replace(', "prediction"', ',  "prediction"')
    right = right.replace('print("fitted", modle)\n', "").replace("alpha=1.0", "alpha=1e6")
    script.write_text(right)
    outcome = solver.solve(script, out, experiments=0)
    assert solver.told == []
    assert Path(outcome.script).read_text() == right


def test_a_stop_leaves_the_best_script_so_far_and_the_next_call_goes_on(
    tmp_path: Path, out: Path, solver: Solver
) -> None:
    folder = made("csv_regression", tmp_path)

    def stop(progress: Progress) -> None:
        if progress.improvements:
            raise KeyboardInterrupt

    stopped = solver.solve(folder, out, on_attempt=stop)
    assert stopped.stopped
    assert stopped.improved
    assert (out / "best" / "predictions.csv").exists()
    best = Path(stopped.script).read_text()

    seen: list[str] = []
    more = solver.solve(
        folder, out, experiments=2, on_attempt=lambda one: seen.append(one.improvements[0].after)
    )
    assert seen[0] == best
    assert more.experiments == stopped.experiments + 2
    assert more.best <= stopped.best


def test_predictions_of_another_script_do_not_stay(tmp_path: Path) -> None:
    predictions = tmp_path / "predictions.csv"
    write_script(tmp_path, "first")
    predictions.write_text("id,y")
    write_script(tmp_path, "first")
    assert predictions.exists()
    write_script(tmp_path, "second")
    assert not predictions.exists()
    assert (tmp_path / "train.py").read_text() == "second"
    predictions.write_text("id,y")
    (tmp_path / "train.py").unlink()
    write_script(tmp_path, "second")
    assert not predictions.exists()


def test_more_rows_than_predictions_are_read_of_are_said_beforehand(tmp_path: Path) -> None:
    found = perceive(made("csv_regression", tmp_path), Hints())
    few = found.material
    assert few.unseen is not None
    assert too_many_to_predict(found.perceived, few) is None
    # 27 bytes a row: 16 MiB hold 621,378.
    for rows, fits in ((621_378, True), (621_379, False)):
        many = replace(few, unseen=few.unseen.sample(rows, replace=True, random_state=0))
        assert (too_many_to_predict(found.perceived, many) is None) == fits


def test_a_class_called_none_comes_back_by_its_name(
    tmp_path: Path, out: Path, solver: Solver
) -> None:
    rows = flowers().replace({"species": {"daisy": "None"}}).drop(columns="colour")
    rows[:90].to_csv(tmp_path / "train.csv", index=False)
    rows[90:].drop(columns="species").to_csv(tmp_path / "test.csv", index=False)
    solver.solve(tmp_path, out, experiments=0)
    said = list(csv.reader((out / "best" / "predictions.csv").open()))
    assert said[0] == ["id", "species"]
    right = sum(row[1] == name for row, name in zip(said[1:], rows["species"][90:], strict=True))
    assert {row[1] for row in said[1:]} == {"None", "rose", "tulip"}
    assert right > 20


def test_what_was_made_is_a_task_package_that_can_be_solved_again(
    tmp_path: Path, out: Path, solver: Solver
) -> None:
    first = solver.solve(made("csv_classification", tmp_path), out / "one", experiments=0)
    package = load_package(out / "one" / "task")
    assert package.reference is None
    again = solver.solve(package, out / "two", experiments=0)
    assert (again.starter, again.starter_test) == (first.starter, first.starter_test)


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDERS)
def test_every_folder_is_solved_or_honestly_not(
    name: str, tmp_path: Path, out: Path, solver: Solver
) -> None:
    said = {"several_csvs": {"say": "Predict spent of every client, by MAE"}}
    hints = said.get(name, {})
    if name == "broken_csv":
        hints = {"skip_broken": "yes"}
    outcome = solver.solve(made(name, tmp_path), out, seconds=60.0, **hints)
    sign = outcome.metric.sign
    assert outcome.improved == (sign * (outcome.best - outcome.starter) > 0)
    assert (out / "best" / "train.py").exists()
    assert ("No improvement" in (out / "report.html").read_text()) == (not outcome.improved)


@pytest.mark.slow
def test_house_prices_from_their_plain_folder_and_one_sentence(
    tmp_path: Path, out: Path, solver: Solver
) -> None:
    (source,) = find_package("house-prices").card.source.wheels
    for name in ("train.csv", "test.csv", "sample_submission.csv"):
        content = member(source.wheel, f"aide/example_tasks/house_prices/{name}")
        (tmp_path / name).write_bytes(content)
    said = "Predict SalePrice, RMSE between the logarithm of the predicted and observed price"
    outcome = solver.solve(tmp_path, out, seconds=120.0, say=said)
    assert outcome.metric.name == "rmsle"
    assert outcome.best < 0.8 * outcome.starter

    # The same scores by the formula, from the labels and the predictions as they lie on the disk.
    (prepared,) = (out / "prepared").iterdir()
    answers = Answers.read(prepared / "answers")
    graded = solver.last.improvements[-1].submission
    table = csv.DictReader(io.StringIO(Snapshots(out / "snapshots").get(graded).decode()))
    logs = {row["id"]: math.log1p(float(row["prediction"])) for row in table}
    for labels, score in ((answers.valid, outcome.best), (answers.test, outcome.best_test)):
        assert score == pytest.approx(
            rmse({i: math.log1p(float(v)) for i, v in labels.items()}, logs)
        )
    assert len((out / "best" / "predictions.csv").read_text().splitlines()) == 1460
