import json
from pathlib import Path

import pytest
from made_attempts import result, task
from rich.console import Console

from ml_agent.core.errors import StoreError, UsageError
from ml_agent.evals import Summary, summarise, terminal_table, write_summary

TASKS = [task("iris"), task("wine")]


def two_policies() -> Summary:
    base = [result("iris", 0, 0.0), result("iris", 1, 0.0), result("wine", 0, 0.0)]
    sft = [result("iris", 0, 0.2), result("iris", 1, 0.4), result("wine", 0, 0.5)]
    return summarise({"base": base, "sft": sft}, held_out=TASKS, train_tasks=["digits"])


def test_the_headline_is_the_mean_over_tasks_of_means_over_attempts() -> None:
    sft = two_policies().policies["sft"]
    assert sft.normalised_gain is not None
    assert sft.normalised_gain.mean == pytest.approx((0.3 + 0.5) / 2)
    # gain = 0.4 / 0.5 * normalised gain, by the starter and the reference of `result`
    assert sft.gain == pytest.approx(0.8 * 0.4)
    assert sft.valid_action_rate == pytest.approx(3 / 4)
    assert sft.edits_that_run == pytest.approx(1 / 2)
    assert sft.best_normalised_gain == pytest.approx((0.4 + 0.5) / 2)
    assert set(sft.intervals) == {"valid_action_rate", "edits_that_run", "gain"}


def test_policies_are_compared_in_pairs() -> None:
    found = two_policies().comparisons
    assert set(found) == {"sft-base"}
    assert found["sft-base"].mean == pytest.approx(0.4)
    assert found["sft-base"].pairs == 3


def test_broken_attempts_are_counted_and_left_out() -> None:
    base = [result("iris", 0, 0.0), result("iris", 1, 0.0)]
    sft = [result("iris", 0, 0.6), result("iris", 1, None, valid_actions=0)]
    found = summarise({"base": base, "sft": sft}, held_out=TASKS)
    assert (found.policies["sft"].attempts, found.policies["sft"].broken) == (2, 1)
    assert found.policies["sft"].valid_action_rate == pytest.approx(3 / 4)
    assert found.comparisons["sft-base"].pairs == 1
    assert found.per_task[0].policies["sft"].normalised_gains == (0.6,)


def test_a_policy_of_broken_attempts_only_is_not_known_instead_of_zero() -> None:
    found = summarise({"rl": [result(normalised_gain=None)]}, held_out=TASKS).policies["rl"]
    assert (found.gain, found.normalised_gain, found.valid_action_rate) == (None, None, None)
    assert found.broken == 1


def test_a_gain_that_is_not_known_is_left_out_of_the_mean_and_of_nothing_else() -> None:
    attempts = [result("iris", 0, 0.5, gain=None, starter_test=0.0), result("wine", 0, 0.5)]
    found = summarise({"sft": attempts}, held_out=TASKS)
    assert found.policies["sft"].gain == pytest.approx(0.4)
    assert found.policies["sft"].normalised_gain.mean == pytest.approx(0.5)
    assert [row.policies["sft"].gain for row in found.per_task] == [None, pytest.approx(0.4)]
    alone = summarise({"sft": attempts[:1]}, held_out=TASKS).policies["sft"]
    assert (alone.gain, alone.normalised_gain.mean) == (None, pytest.approx(0.5))


def test_a_policy_without_edits_has_no_share_of_them_that_runs() -> None:
    found = summarise({"base": [result(edits=0, edits_that_run=0)]}, held_out=TASKS)
    assert found.policies["base"].edits_that_run is None


def test_secondary_figures_say_over_which_attempts_they_are() -> None:
    attempts = [
        result("iris", 0, 0.5, steps_to_first_improvement=3, validation_to_test_gap=0.2),
        result("iris", 1, 0.0, best_validation=None),
    ]
    found = summarise({"sft": attempts}, held_out=TASKS).policies["sft"]
    assert (found.improved, found.without_valid_score) == (0.5, 0.5)
    assert (found.steps_to_first_improvement, found.validation_to_test_gap) == (3, 0.2)
    assert (found.executed_scripts, found.tokens, found.experiment_s) == (2, 100, 3)


def test_tasks_show_absolute_scores_beside_gains() -> None:
    iris, wine = two_policies().per_task
    assert (iris.task, iris.starter_test, iris.reference_test) == ("iris", 0.5, 0.9)
    assert iris.policies["sft"].test_score == pytest.approx(0.5 + 0.4 * 0.3)
    assert iris.policies["sft"].best_test_score == pytest.approx(0.5 + 0.4 * 0.4)
    assert wine.policies["sft"].gain == pytest.approx(0.4)


def test_where_lower_is_better_the_best_test_score_is_the_lowest() -> None:
    attempts = [result("iris", 0, 0.5, test_score=7.0), result("iris", 1, 0.1, test_score=9.0)]
    found = summarise({"sft": attempts}, held_out=[task("iris", higher=False)])
    assert found.per_task[0].policies["sft"].best_test_score == 7.0


@pytest.mark.parametrize(
    ("attempts", "reason"),
    [
        ([result("digits")], "not among the held-out tasks"),
        ([result(), result()], "two attempts with seed 0"),
        ([result(seed=0), result(seed=1, policy="q")], "mixes attempts of p, q"),
    ],
)
def test_attempts_that_cannot_be_compared_are_refused(attempts: list, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        summarise({"sft": attempts}, held_out=TASKS)


def test_summary_json_has_the_documented_shape_and_reads_back(tmp_path: Path) -> None:
    summary = two_policies()
    path = write_summary(tmp_path, summary)
    assert path == tmp_path / "summary.json"
    found = json.loads(path.read_text())
    assert isinstance(found["policies"]["sft"]["valid_action_rate"], float)
    assert isinstance(found["policies"]["sft"]["edits_that_run"], float)
    assert isinstance(found["policies"]["sft"]["gain"], float)
    assert set(found["policies"]["sft"]["normalised_gain"]) == {"mean", "low", "high"}
    assert {"mean", "low", "high"} <= set(found["comparisons"]["sft-base"])
    assert (found["train_tasks"], found["held_out_tasks"]) == (["digits"], ["iris", "wine"])
    assert {"seconds", "versions"} <= set(found)
    assert Summary.model_validate(found) == summary


def test_a_summary_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot write"):
        write_summary(tmp_path / "run", two_policies())


def test_the_terminal_table_reads_without_colour() -> None:
    console = Console(width=120, color_system=None)
    with console.capture() as captured:
        console.print(terminal_table(two_policies()))
    text = captured.get()
    assert "75 %" in text
    assert "+32.0 %" in text
    assert "+0.40 [" in text
    assert "sft minus base" in text
    assert "3 pairs" in text
