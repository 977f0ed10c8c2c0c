"""Which of several tables is what, and which of them are joined."""

import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from user_folders import houses, made

from ml_agent.solve.perceive import Found, perceive
from ml_agent.solve.records import Hints
from ml_agent.solve.words import names_labelled, names_unseen


def seen(folder: Path, **hints: Any) -> Found:
    return perceive(folder, Hints(**hints))


def written(folder: Path, **tables: pd.DataFrame) -> Path:
    """Write tables, each named by its keyword."""
    folder.mkdir(exist_ok=True)
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder


HOUSES = ["area", "built", "rooms", "town"]


@pytest.mark.parametrize("archive", ["house-prices.zip", "train.csv.zip", "more/all.zip"])
def test_an_archive_left_beside_what_was_unpacked_of_it_changes_nothing(
    archive: str, tmp_path: Path
) -> None:
    folder = made("csv_regression", tmp_path)
    (folder / "more").mkdir()
    names = ["train.csv"] if archive == "train.csv.zip" else None
    with zipfile.ZipFile(folder / archive, "w") as packed:
        for path in sorted(folder.glob("*.csv")):
            if names is None or path.name in names:
                packed.write(path, path.name)
    found = seen(folder)
    assert sorted(found.perceived.features) == HOUSES
    assert found.material.unseen is not None
    assert not found.material.unseen.isna().any().any()
    inside = archive.removesuffix(".zip")
    said = f"{inside}/train.csv holds the same rows as train.csv, so it is left out."
    assert said in found.perceived.warnings


def test_an_older_copy_of_the_labelled_rows_is_not_joined(tmp_path: Path) -> None:
    folder = made("csv_regression", tmp_path)
    older = houses()[:110]
    written(folder, train_old=older.assign(area=older["area"] + 1))
    found = seen(folder)
    assert sorted(found.perceived.features) == HOUSES
    said = "train_old.csv is not used: it holds SalePrice too, which is to be predicted."
    assert said in found.perceived.warnings
    assert found.material.labelled["area"].tolist() == houses()["area"][:110].tolist()


def test_what_is_known_of_labelled_rows_alone_is_not_joined(tmp_path: Path) -> None:
    folder = made("csv_regression", tmp_path)
    # Gardens are known of all 110 labelled houses and of 10 of the 40 to predict.
    rows = houses()
    written(folder, gardens=rows[:120][["Id"]].assign(garden=7), roofs=rows[["Id"]].assign(roof=3))
    found = seen(folder)
    assert sorted(found.perceived.features) == ["area", "built", "roof", "rooms", "town"]
    assert any(one.startswith("gardens.csv is not used") for one in found.perceived.warnings)


def people(count: int = 60) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": range(5, 5 + count),
            "age": [20 + i * 7 % 50 for i in range(count)],
            "pay": [1.5 * (i * 11 % 40) for i in range(count)],
            "ill": ["yes" if i % 3 else "no" for i in range(count)],
        }
    )


BLOOD = pd.DataFrame({"id": [i for i in range(5, 65) for _ in "ab"], "test": "hb", "iron": 4.5})


@pytest.mark.parametrize(
    ("main", "other"),
    [
        ("patients", "blood_tests"),
        # A whole word, but not the columns of the patients.
        ("patients", "blood_test"),
        ("patients", "BloodTest"),
        ("train", "test_of_blood"),
        ("houses", "constraints"),
        ("houses", "trains"),
        ("train", "predictors"),
        ("train", "contest"),
    ],
)
def test_a_table_is_what_its_name_says_only_in_a_whole_word_and_with_the_columns_for_it(
    main: str, other: str, tmp_path: Path
) -> None:
    found = seen(written(tmp_path, **{main: people(), other: BLOOD}), target="ill")
    assert found.material.unseen is None
    assert len(found.material.labelled) == 60
    joined = {f"{other.lower()}_count", f"{other.lower()}_iron_mean"}
    assert set(found.perceived.features) == {"age", "pay"} | joined
    asked = any("is not taken for rows to predict" in one for one in found.perceived.warnings)
    assert asked == (other in {"blood_tests", "blood_test", "BloodTest", "test_of_blood"})


@pytest.mark.parametrize("hints", [{"target": "ill"}, {"say": "predict ill"}, {}])
@pytest.mark.parametrize("answer", ["ill", "prediction"])
@pytest.mark.parametrize("name", ["predictions", "test_labels"])
def test_old_predictions_are_no_rows_to_predict(
    name: str, answer: str, hints: dict[str, str], tmp_path: Path
) -> None:
    old = pd.DataFrame({"id": range(65, 85), answer: "yes"})
    found = seen(written(tmp_path, train=people(), **{name: old}), **hints)
    assert (found.perceived.target, list(found.perceived.features)) == ("ill", ["age", "pay"])
    assert found.material.unseen is None
    said = [one for one in found.perceived.warnings if one.startswith(f"{name}.csv is not")]
    assert [one.split(":")[0] for one in said] == [
        f"{name}.csv is not taken for rows to predict",
        f"{name}.csv is not used",
    ]


def test_rows_to_predict_may_have_a_single_feature_and_the_target(tmp_path: Path) -> None:
    rows = people()[["id", "age", "ill"]]
    form = pd.DataFrame({"id": range(50, 65), "ill": "no"})
    found = seen(written(tmp_path, train=rows[:45], test=rows[45:], sample_submission=form))
    assert found.material.unseen is not None
    assert (found.perceived.target, list(found.material.unseen)) == ("ill", ["age"])


@pytest.mark.parametrize(
    ("labelled", "unseen"),
    [
        ("train", "test"),
        ("training", "testing"),
        ("TrainData", "TestData"),
        ("xtrain", "xtest"),
        ("loans.train-2", "loans.test-2"),
        ("people", "to_predict"),
        ("people", "hold_out"),
        ("people", "unseen"),
        ("train", "tests"),
        ("train", "prediction"),
        ("train", "predictions"),
        ("train", "prediction_input"),
        ("train", "to_be_predicted"),
        # Glued to other words.
        ("KDDTrain+", "KDDTest+"),
        ("MNISTtrain", "MNISTtest"),
        ("trainfile", "testfile"),
        ("traindataset", "testdataset"),
        ("traincsv", "testcsv"),
        ("trainingdata", "testingdata"),
        ("dftrain", "dftest"),
        ("churntraining", "churntesting"),
    ],
)
def test_the_usual_names_of_tables_are_understood(
    labelled: str, unseen: str, tmp_path: Path
) -> None:
    rows = people()
    tables = {labelled: rows[:45], unseen: rows[45:].drop(columns="ill")}
    found = seen(written(tmp_path, **tables))
    assert (found.perceived.target, len(found.material.labelled)) == ("ill", 45)
    assert found.material.unseen_ids == tuple(map(str, range(50, 65)))


@pytest.mark.parametrize("folder", ["predictions", "predicted", "tests", "XTest", "test-data2"])
def test_a_folder_of_what_is_to_be_predicted_is_known_by_its_name(folder: str) -> None:
    assert names_unseen(folder)
    assert not names_labelled(folder)


def test_rows_with_many_targets_do_not_hide_those_to_predict(tmp_path: Path) -> None:
    rows = people().assign(tag1="a", tag2="b", tag3="c", tag4="d")
    found = seen(written(tmp_path, train=rows[:45], test=rows[45:][["age", "pay"]]), target="ill")
    assert found.material.unseen is not None
    assert list(found.material.unseen) == ["age", "pay"]


@pytest.mark.parametrize(
    ("features", "labels"),
    [("X_train", "y_train"), ("XTrain", "YTrain"), ("X", "y"), ("train_values", "train_labels")],
)
def test_labels_alone_in_a_table_are_those_of_the_rows_of_the_other(
    features: str, labels: str, tmp_path: Path
) -> None:
    rows = people()
    tables = {
        features: rows[:45][["age", "pay"]],
        labels: rows[:45][["ill"]],
        "X_test": rows[45:][["age", "pay"]],
        "y_test": rows[45:][["ill"]],
    }
    found = seen(written(tmp_path, **tables))
    assert (found.perceived.target, sorted(found.perceived.features)) == ("ill", ["age", "pay"])
    labelled, unseen = found.material.labelled, found.material.unseen
    assert unseen is not None
    assert labelled["ill"].tolist() == rows["ill"][:45].tolist()
    assert labelled["age"].tolist() == rows["age"][:45].tolist()
    assert unseen["age"].tolist() == rows["age"][45:].tolist()


@pytest.mark.parametrize(
    ("features", "labels"),
    [
        ("features", "labels"),
        ("train", "labels"),
        ("train", "targets"),
        ("X", "y"),
        ("dftrain", "labels"),
        ("trainfeatures", "trainlabels"),
    ],
)
def test_labels_beside_features_are_those_of_the_rows_with_the_same_key(
    features: str, labels: str, tmp_path: Path
) -> None:
    rows = people()
    tables = {
        features: rows[:45][["id", "age", "pay"]],
        # In another order.
        labels: rows[:45][["id", "ill"]][::-1],
        "dftest" if features == "dftrain" else "test": rows[45:][["id", "age", "pay"]],
    }
    found = seen(written(tmp_path, **tables))
    assert (found.perceived.target, sorted(found.perceived.features)) == ("ill", ["age", "pay"])
    assert found.material.labelled["ill"].tolist() == rows["ill"][:45].tolist()
    assert found.material.unseen_ids == tuple(map(str, range(50, 65)))
    assert found.perceived.warnings == ()


def test_labels_in_a_single_column_are_those_of_the_rows_of_train(tmp_path: Path) -> None:
    rows = people()
    tables = {"train": rows[:45][["age", "pay"]], "labels": rows[:45][["ill"]]}
    found = seen(written(tmp_path, **tables, test=rows[45:][["age", "pay"]]))
    assert (found.perceived.target, sorted(found.perceived.features)) == ("ill", ["age", "pay"])
    assert found.material.labelled["ill"].tolist() == rows["ill"][:45].tolist()


def test_labels_of_several_kinds_stay_labels_beside_a_single_feature(tmp_path: Path) -> None:
    rows = people()
    tables = {"features": rows[["id", "age"]], "labels": rows[["id", "pay", "ill"]]}
    found = seen(written(tmp_path, **tables))
    assert found.perceived.target == "ill"
    said = "labels.csv, of the rows of features.csv"
    assert said in [one.found for one in found.perceived.conclusions]


def test_labels_are_found_beside_further_tables_and_may_be_those_of_all_rows(
    tmp_path: Path,
) -> None:
    rows = people()
    heights = pd.DataFrame({"age": range(20, 70), "height": range(100, 150)})
    tables = {"features": rows[:45][["id", "age", "pay"]], "labels": rows[["id", "ill"]]}
    tables |= {"heights": heights, "test": rows[45:][["id", "age", "pay"]]}
    found = seen(written(tmp_path, **tables))
    assert found.perceived.target == "ill"
    assert sorted(found.perceived.features) == ["age", "height", "pay"]
    assert found.material.labelled["ill"].tolist() == rows["ill"][:45].tolist()
    # The first is 20 years old, the second 27.
    assert found.material.labelled["height"].tolist()[:2] == [100, 107]


def test_labels_are_not_paired_with_rows_that_they_are_not_of(tmp_path: Path) -> None:
    rows = people()
    names = pd.DataFrame({"ill": ["yes", "no"], "meaning": ["ill", "well"]})
    found = seen(written(tmp_path, train=rows, labels=names), target="ill")
    assert sorted(found.perceived.features) == ["age", "pay"]
    assert len(found.material.labelled) == 60


def test_a_single_feature_is_told_from_its_labels_by_their_names(tmp_path: Path) -> None:
    rows = people()
    found = seen(written(tmp_path, X_train=rows[["age"]], y_train=rows[["pay"]]))
    assert (found.perceived.target, list(found.perceived.features)) == ("pay", ["age"])


def test_labels_without_a_header_are_called_by_their_file(tmp_path: Path) -> None:
    rows = people()
    for name, table in {"X_train": rows[["age", "pay"]], "y_train": rows[["age"]] * 3}.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False, header=False)
    found = seen(tmp_path)
    assert (found.perceived.target, sorted(found.perceived.features)) == ("y_train", ["c1", "c2"])
    assert found.material.labelled["y_train"].tolist() == (rows["age"] * 3).tolist()


def test_a_table_of_other_length_holds_no_labels(tmp_path: Path) -> None:
    rows = people()
    found = seen(written(tmp_path, X_train=rows[["age", "pay"]], y_train=rows[:59][["ill"]]))
    assert found.perceived.target == "pay"
    assert any(one.startswith("y_train.csv is not used") for one in found.perceived.warnings)


@pytest.mark.parametrize("cities", ["cities", "zones"])
def test_a_table_is_joined_through_another_whatever_their_names(
    cities: str, tmp_path: Path
) -> None:
    rows = people().assign(client=[i % 6 for i in range(60)])
    clients = pd.DataFrame({"client": range(6), "city": ["x", "y", "z"] * 2})
    tables = {cities: pd.DataFrame({"city": ["x", "y", "z"], "height": [10, 20, 30]})}
    tables |= {"deals_train": rows[:45], "deals_test": rows[45:].drop(columns="ill")}
    found = seen(written(tmp_path, clients=clients, **tables))
    assert found.perceived.warnings == ()
    assert sorted(found.perceived.features) == ["age", "city", "client", "height", "pay"]
    # Clients 0 to 5 live in x, y, z, x, y, z.
    assert found.material.labelled["height"].tolist()[:5] == [10, 20, 30, 10, 20]
    assert found.material.unseen is not None
    assert found.material.unseen["height"].tolist()[:3] == [10, 20, 30]
