"""Classes go through the scripts of other people, who read them with pandas, and come back."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml_agent.core.records import Metric
from ml_agent.solve.answer import _said
from ml_agent.solve.classes import class_names
from ml_agent.solve.package import task_rows
from ml_agent.solve.perceive import perceive
from ml_agent.solve.records import Hints, Notes
from ml_agent.tasks import METRICS
from ml_agent.tasks.grading import Answers, score

ACCURACY = Metric(name="accuracy", higher_is_better=True)


@pytest.mark.parametrize(
    "classes",
    [
        ("yes", "no"),
        ("TRUE", "FALSE"),
        ("true", "false"),
        ("True", "False"),
        ("01", "02"),
        ("None", "b"),
        ("id", "b"),
    ],
)
def test_a_script_that_is_right_in_every_row_scores_1_and_the_answer_has_the_users_names(
    classes: tuple[str, str], tmp_path: Path
) -> None:
    said = [classes[i % 3 == 0] for i in range(60)]
    rows = pd.DataFrame({"x": np.arange(60) * 1.5 + 3, "kind": said})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    found = perceive(tmp_path, Hints(target="kind"))

    written = tmp_path / "task.csv"
    task_rows(found.perceived, found.material).to_csv(written, index_label="id")
    labels = pd.read_csv(written, dtype=str, keep_default_na=False)
    # As a script does: pandas reads what is known, and writes what is predicted.
    script = pd.read_csv(written)[["id", "kind"]].set_axis(["id", "prediction"], axis=1)
    submission = script.to_csv(index=False).encode()

    valid = dict(zip(labels["id"], labels["kind"], strict=True))
    assert score(Answers(valid=valid, test={}), METRICS["accuracy"], "valid", submission) == 1.0
    told = _said(submission, found.perceived, rows_at_most=60)
    assert [told[str(i)] for i in range(60)] == [[one] for one in said]


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        # Alone each of them would be a number or no value, though together they are text.
        (["007", "x"], {"007": "007_", "x": "x"}),
        (["NA", "x"], {"NA": "NA_", "x": "x"}),
        (["TRUE", "TRUE_"], {"TRUE": "TRUE__", "TRUE_": "TRUE_"}),
        (["a,b", 'say "x"', "é"], {}),
        ([1, 2, 3], {}),
    ],
)
def test_only_a_name_that_pandas_reads_as_something_else_is_changed(
    classes: list[object], names: dict[str, str]
) -> None:
    assert class_names(ACCURACY, pd.Series(classes), Notes()) == names


def test_columns_of_probabilities_are_found_by_number() -> None:
    shares = Metric(name="multiclass_log_loss", higher_is_better=False)
    classes = pd.Series(["01", "02", "TRUE"])
    # A form of the answer with the columns 1 and 2 means 01 and 02.
    assert class_names(shares, classes, Notes()) == {"01": "01", "02": "02", "TRUE": "TRUE_"}
