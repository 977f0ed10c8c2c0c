"""What is concluded about twelve folders, and what users say about theirs."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from user_folders import FOLDERS, flowers, houses, made

from ml_agent.core.errors import UsageError
from ml_agent.solve.perceive import Found, perceive
from ml_agent.solve.records import Hints
from ml_agent.solve.words import metric_in, unknown_metric_in

# target, id, metric, domain, split, rows, unseen rows, number of features
EXPECTED: dict[str, tuple[Any, ...]] = {
    "csv_classification": (
        ("species", None, "accuracy", "tabular classification", "stratified"),
        (120, None, ["colour", "leaf", "stem"]),
    ),
    "csv_regression": (
        ("SalePrice", "Id", "rmse", "tabular regression", "random"),
        (110, 40, ["area", "built", "rooms", "town"]),
    ),
    "several_csvs": (
        ("spent", None, "mae", "tabular regression", "random"),
        (90, None, ["client", "people", "town_code", "visits_count", "visits_minutes_mean"]),
    ),
    "texts": (
        ("mood", "Unnamed: 0", "accuracy", "text", "stratified"),
        (120, None, ["review"]),
    ),
    "image_folders": (
        ("class", None, "accuracy", "image", "stratified"),
        (50, 14, []),
    ),
    "long_series": (
        ("sales", None, "rmse", "time series", "time"),
        (140, 20, ["date", "date_days", "date_month", "date_weekday", "promo", "shop"]),
    ),
    "wide_series": (
        ("value", None, "rmse", "time series", "time"),
        (120, None, ["river", "time", "time_days", "time_month", "time_weekday"]),
    ),
    "broken_csv": (
        ("species", None, "accuracy", "tabular classification", "stratified"),
        (118, None, ["colour", "leaf", "stem"]),
    ),
    "misleading_readme": (
        ("SalePrice", "Id", "rmse", "tabular regression", "random"),
        (110, 40, ["area", "built", "rooms", "town"]),
    ),
    "crashing_script": (
        ("SalePrice", "Id", "rmse", "tabular regression", "random"),
        (110, 40, ["area", "built", "rooms", "town"]),
    ),
    "european_csv": (
        ("Preis", None, "rmse", "tabular regression", "random"),
        (150, None, ["Fläche", "built", "rooms", "town"]),
    ),
    "patients": (
        ("relapse", "row_id", "auc", "tabular classification", "group"),
        (180, 60, ["age", "patient_id", "pressure"]),
    ),
}


SAID: dict[str, dict[str, Any]] = {
    "several_csvs": {"say": "Predict spent of every client, by MAE"},
    "broken_csv": {"skip_broken": True},
}
"""What no file of these folders tells."""


def seen(path: Path, **hints: Any) -> Found:
    return perceive(path, Hints(**hints))


@pytest.mark.parametrize("name", FOLDERS)
def test_each_folder_is_perceived_as_what_it_is(name: str, tmp_path: Path) -> None:
    found = seen(made(name, tmp_path), **SAID.get(name, {}))
    one, data = found.perceived, found.material
    asked, has = EXPECTED[name]
    assert (one.target, one.id, one.metric.name, one.domain.value, one.split) == asked
    unseen = None if data.unseen is None else len(data.unseen)
    assert (len(data.labelled), unseen, sorted(one.features)) == has


def test_every_conclusion_says_from_what(tmp_path: Path) -> None:
    told = seen(made("csv_regression", tmp_path)).perceived.conclusions
    assert all(one.because for one in told)
    assert {"target", "id", "metric", "kind", "splits"} <= {one.about for one in told}


def test_a_sentence_decides_what_the_files_leave_open(tmp_path: Path) -> None:
    folder = made("csv_classification", tmp_path)
    found = seen(folder, say="Predict the leaf length, MAE").perceived
    assert (found.target, found.metric.name) == ("leaf", "mae")


@pytest.mark.parametrize(
    ("said", "metric"),
    [
        ("by RMSE between the logarithm of the predicted and observed values", "rmsle"),
        ("RMSE of the log (RMSLE)", "rmsle"),
        ("mean squared error", "mse"),
        ("Root-Mean-Squared-Error", "rmse"),
        ("R-squared", "r2"),
        ("highest R2", "r2"),
        ("mean absolute percentage error", "mape"),
        ("sMAPE", "smape"),
        ("Pearson's correlation coefficient", "pearson"),
        ("Spearman rank correlation", "spearman"),
        ("mean absolute error, not RMSE", "mae"),
    ],
)
def test_a_metric_is_known_by_what_people_call_it(said: str, metric: str, tmp_path: Path) -> None:
    found = seen(made("csv_regression", tmp_path), say=f"Predict SalePrice, {said}")
    assert found.perceived.metric.name == metric


@pytest.mark.parametrize(
    ("said", "known", "unknown"),
    [
        ("the area under the ROC curve between probability and target", "auc", None),
        ("Area under the Receiver Operating Curve (AUC)", "auc", None),
        ("auc-roc", "auc", None),
        ("log_loss", "log_loss", None),
        ("binary cross-entropy", "log_loss", None),
        ("the quadratic weighted kappa", "qwk", None),
        ("Cohen's kappa", None, "kappa"),
        ("Matthews Correlation Coefficient (MCC)", "mcc", None),
        ("multi-class-classification-accuracy", "accuracy", None),
        ("balanced accuracy", None, "balanced accuracy"),
        ("macro-f1-score", "macro_f1", None),
        ("micro F1", None, "micro F1"),
        ("mean-column-wise-rmsle", "rmsle", None),
        ("smapep1", None, "smapep1"),
        ("PR AUC", None, "PR AUC"),
        ("dice-hausdorff-combo", None, "dice"),
    ],
)
def test_names_of_benchmarks_mean_one_metric_or_none(
    said: str, known: str | None, unknown: str | None
) -> None:
    assert (metric_in(said), unknown_metric_in(said)) == (known, unknown)


def test_a_column_is_named_in_any_spelling(tmp_path: Path) -> None:
    found = seen(made("csv_regression", tmp_path), say="predict sale price (RMSLE)").perceived
    assert (found.target, found.metric.name) == ("SalePrice", "rmsle")


@pytest.mark.parametrize(
    ("hints", "field", "value"),
    [
        ({"target": "colour"}, "target", "colour"),
        ({"metric": "macro F1"}, "metric", "macro_f1"),
        ({"id": "stem"}, "id", "stem"),
        ({"group": "leaf"}, "group", "leaf"),
        ({"group": "colour"}, None, "--group colour: it has 2 different values"),
        ({"target": "stem", "kind": "time-series", "time": "leaf"}, "time", "leaf"),
        ({"kind": "text", "target": "species"}, None, "no column holds texts"),
        ({"kind": "image"}, None, "--kind image: a table is read here"),
        ({"kind": "regression"}, None, "the target is no number: 'tulip' is none. Choose another"),
        (
            {"kind": "classification", "metric": "mae", "target": "stem"},
            None,
            "mae is not measured",
        ),
        ({"say": "predict species by logistic regression"}, "metric", "accuracy"),
        ({"target": "specis"}, None, "Did you mean 'species'?"),
        ({"metric": "rmse"}, None, "rmse does not fit: the target is no number"),
        ({"metric": "kappa"}, None, "'kappa' is not one of"),
        ({"say": "predict species, MAP@3"}, None, "'MAP@3' is not one of"),
        ({"metric": "log loss"}, "metric", "multiclass_log_loss"),
        ({"target": "stem", "say": "log loss"}, None, "too many for classes"),
        ({"metric": "qwk"}, None, "qwk does not fit: it wants classes that are whole numbers"),
        ({"target": "stem", "metric": "auc"}, None, "auc does not fit: it wants two classes"),
        ({"train": "other.csv"}, None, "there is no table 'other.csv'; there are: flowers.csv"),
    ],
)
def test_every_conclusion_can_be_corrected(
    hints: dict[str, str], field: str | None, value: str, tmp_path: Path
) -> None:
    folder = made("csv_classification", tmp_path)
    if field is None:
        with pytest.raises(UsageError, match=value.replace("?", r"\?")):
            seen(folder, **hints)
        return
    found = getattr(seen(folder, **hints).perceived, field)
    assert (found.name if field == "metric" else found) == value


def test_a_sentence_against_the_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="asks for 'rooms', but the form of the answer has"):
        seen(made("csv_regression", tmp_path), say="predict rooms")


def test_what_a_misleading_readme_says_is_told_and_not_followed(tmp_path: Path) -> None:
    warnings = seen(made("misleading_readme", tmp_path)).perceived.warnings
    assert any("'rooms'; the files contradict it" in one for one in warnings)
    assert any("asks for accuracy, which does not fit" in one for one in warnings)


def test_only_a_guess_is_asked_about_and_the_answer_counts(tmp_path: Path) -> None:
    asked = []

    def answer(question: str, assumed: str) -> str:
        asked.append((question, assumed))
        return "colour"

    found = perceive(made("csv_classification", tmp_path), Hints(), ask=answer)
    assert asked == [("Which column is to be predicted?", "species")]
    assert found.perceived.target == "colour"
    perceive(made("csv_regression", tmp_path), Hints(), ask=answer)
    assert len(asked) == 1


def test_a_feature_that_equals_the_target_is_left_out(tmp_path: Path) -> None:
    houses().assign(copy=lambda rows: rows["SalePrice"].astype(int)).to_csv(
        tmp_path / "rows.csv", index=False
    )
    found = seen(tmp_path, target="SalePrice").perceived
    assert "copy" not in found.features
    assert any("copy equals SalePrice" in one for one in found.warnings)


def test_rows_of_a_forecast_stand_in_the_order_of_time(tmp_path: Path) -> None:
    made("long_series", tmp_path)
    path = tmp_path / "long_series" / "train.csv"
    pd.read_csv(path).sample(frac=1, random_state=0).to_csv(path, index=False)
    found = seen(tmp_path / "long_series")
    assert found.perceived.time == "date"
    assert found.material.labelled["date"].is_monotonic_increasing


def test_codes_with_leading_zeros_and_formulas_stay_text(tmp_path: Path) -> None:
    rows = flowers().assign(code=[f"{i:04d}" for i in range(120)], note='=cmd|" /C calc"!A0')
    rows.to_csv(tmp_path / "rows.csv", index=False)
    labelled = seen(tmp_path, target="species").material.labelled
    assert labelled["code"].iloc[7] == "0007"
    assert set(labelled["note"]) == {'=cmd|" /C calc"!A0'}


def test_auc_takes_the_class_that_means_yes_for_one(tmp_path: Path) -> None:
    assert seen(made("patients", tmp_path)).perceived.labels == {"yes": "1", "no": "0"}


def test_log_loss_of_two_classes_is_of_the_one_that_means_yes(tmp_path: Path) -> None:
    found = seen(made("patients", tmp_path), say="binary cross-entropy").perceived
    assert found.metric.name == "log_loss"
    assert found.labels == {"yes": "1", "no": "0"}
    assert found.answer_columns == ("row_id", "relapse")


def test_a_table_alone_may_be_given(tmp_path: Path) -> None:
    folder = made("csv_classification", tmp_path)
    flowers().to_csv(folder / "other.csv", index=False)
    assert len(seen(folder / "flowers.csv").material.labelled) == 120


@pytest.mark.parametrize("first", [0, 1])
def test_a_column_that_only_counts_the_rows_is_the_id_whatever_its_name(
    first: int, tmp_path: Path
) -> None:
    rows = houses().drop(columns="Id")
    rows.insert(2, "customer", range(first, first + len(rows)))
    rows.to_csv(tmp_path / "rows.csv", index=False)
    found = seen(tmp_path, target="SalePrice")
    assert found.perceived.id == "customer"
    assert "customer" not in found.perceived.features
    assert found.material.ids[:2] == (str(first), str(first + 1))
    assert any(
        (one.about, one.because) == ("id", "it only counts the rows")
        for one in found.perceived.conclusions
    )


@pytest.mark.parametrize(
    ("name", "values", "hints"),
    [
        # Not in the order of rows; with a gap; from 2; named like a time; all the user has.
        ("customer", [*range(1, 150), 0], {}),
        ("customer", [*range(149), 150], {}),
        ("customer", range(2, 152), {}),
        ("week", range(150), {}),
        ("step", range(150), {}),
        ("customer", range(150), {"id": "none"}),
        ("customer", range(150), {"say": "forecast SalePrice"}),
        ("customer", range(150), {"time": "customer"}),
    ],
)
def test_a_column_that_may_mean_more_than_a_count_is_no_id(
    name: str, values: Any, hints: dict[str, str], tmp_path: Path
) -> None:
    rows = houses().drop(columns="Id").assign(**{name: list(values)})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    found = seen(tmp_path, target="SalePrice", **hints).perceived
    assert found.id is None
    assert name in found.features


def test_a_count_that_is_the_only_feature_is_learned_from(tmp_path: Path) -> None:
    pd.DataFrame({"x": range(60), "y": [i * i for i in range(60)]}).to_csv(
        tmp_path / "rows.csv", index=False
    )
    found = seen(tmp_path, target="y").perceived
    assert (found.id, list(found.features)) == (None, ["x"])


def test_a_second_count_beside_the_id_is_left_out(tmp_path: Path) -> None:
    houses().reset_index(names="number").to_csv(tmp_path / "rows.csv", index=False)
    found = seen(tmp_path, target="SalePrice").perceived
    assert found.id == "Id"
    assert "number" not in found.features
    assert "number only counts the rows, so it is left out." in found.warnings


def test_ids_that_only_the_rows_to_predict_have_name_the_predictions(tmp_path: Path) -> None:
    folder = made("csv_regression", tmp_path)
    train = pd.read_csv(folder / "train.csv").drop(columns="Id")
    train.to_csv(folder / "train.csv", index=False)
    found = seen(folder)
    assert found.perceived.answer_columns == ("Id", "SalePrice")
    assert found.material.unseen_ids == tuple(map(str, range(111, 151)))

    unseen = pd.read_csv(folder / "test.csv").drop(columns="Id")
    unseen.to_csv(folder / "test.csv", index=False)
    assert seen(folder).material.unseen_ids == tuple(map(str, range(111, 151)))


def test_an_answer_that_begins_with_the_target_and_repeats_features_is_understood(
    tmp_path: Path,
) -> None:
    folder = made("csv_regression", tmp_path)
    rows = houses()[["SalePrice", "area", "town"]]
    rows[110:].to_csv(folder / "sample_submission.csv", index=False)
    found = seen(folder).perceived
    assert (found.target, found.id) == ("SalePrice", "Id")
    assert found.answer_columns == ("Id", "SalePrice")
    assert any("the predictions will have Id, SalePrice." in one for one in found.warnings)


def test_a_form_with_a_column_for_every_class_asks_for_probabilities(tmp_path: Path) -> None:
    rows = flowers().rename_axis("key").reset_index().replace({"species": {"rose": "id"}})
    rows[:90].to_csv(tmp_path / "train.csv", index=False)
    rows[90:].drop(columns="species").to_csv(tmp_path / "test.csv", index=False)
    form = rows[90:][["key"]].assign(tulip=0.3, id=0.3, daisy=0.4)
    form.to_csv(tmp_path / "sample_submission.csv", index=False)
    found = seen(tmp_path).perceived
    assert (found.target, found.metric.name) == ("species", "multiclass_log_loss")
    assert found.answer_columns == ("key", "tulip", "id", "daisy")
    # In the task, "id" already names a column.
    assert found.labels == {"daisy": "daisy", "id": "id_", "tulip": "tulip"}


def test_features_and_labels_in_two_files_are_one_table(tmp_path: Path) -> None:
    rows = houses()
    known, unseen = rows[:110].drop(columns="SalePrice"), rows[110:].drop(columns="SalePrice")
    known.to_csv(tmp_path / "train_values.csv", index=False)
    unseen.to_csv(tmp_path / "test_values.csv", index=False)
    labels = rows[:110][["Id", "SalePrice"]].sample(frac=1, random_state=0)
    labels.to_csv(tmp_path / "train_labels.csv", index=False)
    form = unseen[["Id"]].assign(SalePrice=0)
    form.to_csv(tmp_path / "submission_format.csv", index=False)
    found = seen(tmp_path)
    assert (found.perceived.target, found.perceived.id) == ("SalePrice", "Id")
    assert found.perceived.warnings == ()
    told = found.material.labelled.assign(Id=[int(one) for one in found.material.ids])
    assert told[list(rows)].astype({"SalePrice": float}).equals(rows[:110])

    # Labels of other rows are no pair.
    labels.assign(Id=labels["Id"] + 1).to_csv(tmp_path / "train_labels.csv", index=False)
    with pytest.raises(UsageError, match="there is no column to learn from"):
        seen(tmp_path)
