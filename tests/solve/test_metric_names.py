"""What people call metrics, and what is none of ours although its name holds one that is."""

from pathlib import Path

import pandas as pd
import pytest

from ml_agent.core.errors import UsageError
from ml_agent.solve.perceive import perceive
from ml_agent.solve.records import Hints
from ml_agent.solve.words import metric_called, metric_in, unknown_metric_in

STRANGE = [
    "f1_weighted",
    "weighted-average F1",
    "F1 score, weighted",
    "f1_micro",
    "binary f1",
    "F1 (binary)",
    "F1 of one class",
    "F1 for the rare class",
    "F-beta",
    "median absolute error",
    "median_absolute_error",
    "mean absolute scaled error",
    "top_k_accuracy",
    "accuracy@5",
    "weighted accuracy",
    "accuracy (balanced)",
    "weighted rmse",
    "normalized RMSE",
    "RMSE weighted by size",
    "RMSPE",
    "root mean squared percentage error",
    "MASE",
    "CRPS",
    "huber loss",
    "hamming loss",
    "AUC-PR",
    "area under the precision-recall curve",
    "adjusted R2",
]


@pytest.mark.parametrize("said", STRANGE)
def test_a_metric_that_is_none_of_ours_is_not_taken_for_one_it_resembles(said: str) -> None:
    with pytest.raises(UsageError, match="is not one of: accuracy, macro_f1, "):
        metric_called(said)
    assert metric_in(f"predict y by {said}") is None
    assert unknown_metric_in(f"predict y by {said}") is not None


@pytest.mark.parametrize(
    ("said", "metric"),
    [
        ("acc", "accuracy"),
        ("accuracy_score", "accuracy"),
        ("f1_macro", "macro_f1"),
        ("macro-averaged F1", "macro_f1"),
        ("F1 (macro average)", "macro_f1"),
        ("F1", "macro_f1"),
        ("RMSE (root mean squared error)", "rmse"),
        ("neg_mean_squared_error", "mse"),
        ("roc_auc_score", "auc"),
        ("Area under the ROC curve (AUC)", "auc"),
        ("multiclass_log_loss", "log_loss"),
        ("R²", "r2"),
        ("Pearson's r", "pearson"),
        ("quadratic weighted kappa", "qwk"),
    ],
)
def test_an_option_takes_any_name_of_a_metric_of_ours(said: str, metric: str) -> None:
    assert metric_called(said) == metric
    assert (metric_in(said), unknown_metric_in(said)) == (metric, None)


@pytest.mark.parametrize("said", ["roc_auc_ovr", "accuracy of yes", "RMSE and MAE", "", "good"])
def test_an_option_that_says_more_or_less_than_a_name_is_refused(said: str) -> None:
    with pytest.raises(UsageError, match="is not one of"):
        metric_called(said)


@pytest.mark.parametrize(
    ("said", "known", "strange"),
    [
        ("predict acc_x", None, None),
        ("predict x, acc", "accuracy", None),
        # The first counts, and a word of many uses only where there is nothing else.
        ("MAE, not RMSPE", "mae", "RMSPE"),
        ("RMSPE, not RMSE", None, "RMSPE"),
        ("high precision of F1", "macro_f1", None),
        ("classification accuracy (1 - error rate)", "accuracy", None),
        # Prose around a metric makes no other of it.
        ("RMSE at 5 minutes", "rmse", None),
        ("accuracy at 5 minutes", "accuracy", None),
        ("accuracy at 0.5", "accuracy", None),
        ("categorization accuracy at 5", None, "categorization accuracy at 5"),
        ("accuracy at k, please", None, "accuracy at k"),
        ("recall at 5 of all shops", None, "recall at 5"),
        ("AUC, samples are weighted equally", "auc", None),
        ("ROC AUC, weighted equally", "auc", None),
        ("F1, weighted. Recall is shown.", None, "F1, weighted"),
        ("F1, weighted by support", None, "F1, weighted"),
        ("scored by Levenshtein", None, "Levenshtein"),
        ("F1 of all classes", "macro_f1", None),
        ("- accuracy\n- balanced accuracy", "accuracy", "balanced accuracy"),
        ("the mean\nabsolute error", "mae", None),
    ],
)
def test_a_sentence_means_the_metric_it_names_first(
    said: str, known: str | None, strange: str | None
) -> None:
    assert (metric_in(said), unknown_metric_in(said)) == (known, strange)


def test_the_call_ends_with_the_list_where_a_sentence_asks_for_another(tmp_path: Path) -> None:
    rows = pd.DataFrame({"x": range(60), "y": ["a", "b", "b"] * 20, "z": [1.5, 2.5, 4.0] * 20})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(UsageError, match="the metric 'weighted F1' is not one of: accuracy, "):
        perceive(tmp_path, Hints(say="predict y, weighted F1"))
    with pytest.raises(UsageError, match="the metric 'RMSPE' is not one of: accuracy, "):
        perceive(tmp_path, Hints(say="predict z by RMSPE"))


def test_a_word_of_many_uses_in_a_sentence_is_told_of_and_ends_nothing(tmp_path: Path) -> None:
    say = "predict state; the error rate matters"
    found = perceive(rated(tmp_path), Hints(say=say)).perceived
    assert (found.target, found.metric.name) == ("state", "accuracy")
    assert found.warnings == (
        "The sentence says error rate. If that is the metric it asks for, it cannot be computed "
        "here: choose the nearest with --metric.",
    )
    assert not perceive(tmp_path, Hints(say=say, metric="macro_f1")).perceived.warnings


def rated(folder: Path, readme: str = "", **named: str) -> Path:
    """Rows with a reading, a grade from 3 to 8, two classes, and a bit; columns may be renamed."""
    rows = pd.DataFrame(
        {
            "reading": [i * 7 % 41 + 0.5 for i in range(120)],
            "grade": [3 + i % 6 for i in range(120)],
            "state": ["on", "off", "off"] * 40,
            "bit": [0, 1] * 60,
        }
    )
    rows.rename(columns=named).to_csv(folder / "rows.csv", index=False)
    (folder / "README.md").write_text(readme)
    return folder


@pytest.mark.parametrize(
    ("target", "readme", "metric"),
    [
        ("state", "Metric: AUC. The sensor has high precision.", "auc"),
        ("state", "The sensor has high precision. Metric: AUC.", "auc"),
        ("grade", "Metric: RMSE", "rmse"),
        ("grade", "Metric: quadratic weighted kappa", "qwk"),
        ("state", "Metric: weighted F1. Accuracy would be too easy.", "accuracy"),
        ("state", "Metric: RMSE", "accuracy"),
        ("grade", "Its parts have an explained variance of 9 %. Metric: RMSE", "rmse"),
        ("reading", "The sensor's accuracy is known.", "rmse"),
        ("state", "A linear baseline whose mean squared error was poor", "accuracy"),
        ("bit", "A linear baseline whose mean squared error was poor", "accuracy"),
        ("bit", "Metric: MSE", "accuracy"),
        ("grade", "A linear baseline whose mean squared error was poor", "accuracy"),
        ("reading", "A linear baseline whose mean squared error was poor", "mse"),
    ],
)
def test_the_metric_of_a_readme_is_used_where_it_fits(
    target: str, readme: str, metric: str, tmp_path: Path
) -> None:
    found = perceive(rated(tmp_path, readme), Hints(target=target)).perceived
    assert found.metric.name == metric
    said = any("a text of the folder names it" in one.because for one in found.conclusions)
    fits = {("grade", "rmse"), ("reading", "mse")}
    assert said == (metric in {"auc", "qwk"} or (target, metric) in fits)
    assert said == (not any("A text of the folder asks" in one for one in found.warnings))


@pytest.mark.parametrize(
    ("column", "said", "metric"),
    [
        ("acc_x", "predict acc_x", "rmse"),
        ("accuracy", "predict accuracy, MAE", "mae"),
        ("precision", "predict the precision", "rmse"),
        ("mae", "predict mae by MAE", "mae"),
    ],
)
def test_a_column_called_like_a_metric_is_none(
    column: str, said: str, metric: str, tmp_path: Path
) -> None:
    found = perceive(rated(tmp_path, reading=column), Hints(say=said)).perceived
    assert (found.target, found.metric.name) == (column, metric)
