import math

import pytest
from made_attempts import EDIT, STOP, attempt, step, task

from made_records import RUN
from ml_agent.core.errors import StoreError, TaskError, UsageError
from ml_agent.core.records import End, Execution, Task, Trajectory
from ml_agent.evals import AttemptResult, measure
from ml_agent.tasks import Malformed
from ml_agent.tasks.test_split import TestScore


def judged(
    trajectory: Trajectory,
    tests: dict[str, float],
    *,
    of: Task | None = None,
    starter: float = 0.4,
    reference: float = 0.8,
) -> AttemptResult:
    """`tests` maps the predictions of a validation score ("csv 0.7") to their test score."""
    return measure(
        of or task(),
        trajectory,
        test_score=lambda found: TestScore(value=tests[found.decode()]),
        submission=lambda digest: digest.encode(),
        starter_test=starter,
        reference_test=reference,
    )


def test_the_best_script_on_validation_is_reported_with_its_test_score() -> None:
    played = attempt(step(score=0.6), step(score=0.7), step(score=0.55), step(STOP))
    found = judged(played, {"csv 0.7": 0.6})
    assert found.result_step == 1
    assert found.best_validation == 0.7
    assert found.test_score == 0.6
    assert found.gain == pytest.approx((0.6 - 0.4) / 0.4)
    assert found.normalised_gain == pytest.approx((0.6 - 0.4) / (0.8 - 0.4))


def test_a_better_test_score_of_another_script_changes_nothing() -> None:
    found = judged(attempt(step(score=0.6), step(score=0.7)), {"csv 0.6": 0.79, "csv 0.7": 0.5})
    assert found.test_score == 0.5


def test_of_equally_good_scripts_the_earliest_counts() -> None:
    played = attempt(step(score=0.7), step(score=0.7, submission="csv later"))
    assert judged(played, {"csv 0.7": 0.6}).result_step == 0


def test_where_lower_is_better_the_lowest_score_is_best_and_a_drop_is_a_gain() -> None:
    of = task(higher=False, m_init=10.0, m_best=5.0)
    played = attempt(step(score=12.0), step(score=8.0), step(score=9.0))
    found = judged(played, {"csv 8.0": 9.0}, of=of, starter=12.0, reference=6.0)
    assert found.best_validation == 8.0
    assert found.gain == pytest.approx(0.25)
    assert found.normalised_gain == pytest.approx(0.5)
    assert found.steps_to_first_improvement == 2


def test_without_a_graded_script_the_starter_is_the_result() -> None:
    found = judged(attempt(step(exit_code=1), step(None)), {})
    assert (found.best_validation, found.result_step) == (None, None)
    assert (found.test_score, found.gain, found.normalised_gain) == (0.4, 0.0, 0.0)
    assert found.validation_to_test_gap is None
    assert found.steps_to_first_improvement is None


@pytest.mark.parametrize("score", [0.5, 0.3])
def test_a_script_that_does_not_beat_the_starter_on_validation_is_not_handed_in(
    score: float,
) -> None:
    found = judged(attempt(step(score=score)), {})
    assert found.best_validation == score
    assert (found.result_step, found.gain) == (None, 0.0)


def test_predictions_that_only_test_cannot_grade_leave_the_starter() -> None:
    found = measure(
        task(),
        attempt(step(score=0.7)),
        test_score=lambda _: Malformed(reason="a test row is missing"),
        submission=lambda digest: digest.encode(),
        starter_test=0.4,
        reference_test=0.8,
    )
    assert (found.result_step, found.test_score, found.normalised_gain) == (None, 0.4, 0.0)


def test_the_gap_is_normalised_gain_promised_minus_found() -> None:
    # Validation: (0.7 - 0.5) / (0.9 - 0.5) = 0.5. Test: (0.5 - 0.4) / (0.8 - 0.4) = 0.25.
    found = judged(attempt(step(score=0.7)), {"csv 0.7": 0.5})
    assert found.validation_to_test_gap == pytest.approx(0.25)


@pytest.mark.parametrize("played", [attempt(step(score=0.7)), attempt(step(None))])
def test_where_the_starter_scores_zero_only_the_normalised_gain_is_known(
    played: Trajectory,
) -> None:
    found = judged(played, {"csv 0.7": 0.2}, starter=0.0)
    assert found.gain is None
    assert found.normalised_gain == (0.25 if found.result_step == 0 else 0.0)


def test_a_broken_attempt_has_no_gain_and_its_predictions_are_not_graded() -> None:
    found = judged(attempt(step(score=0.7), end=End.BROKEN), {})
    assert found.broken
    assert (found.test_score, found.gain, found.normalised_gain) == (None, None, None)


def test_steps_are_counted_by_what_they_were() -> None:
    stopped = Execution(exit_code=None, killed_by="time", output="", wall_s=30.0, cpu_s=30.0)
    played = attempt(
        step(EDIT, score=0.4),  # runs
        step(EDIT, exit_code=1),  # crashes
        step(EDIT, execution=stopped),  # meets a limit
        step(EDIT, malformed="a row is missing"),  # runs, but is not graded
        step(RUN, score=0.6),  # no edit
        step(None),  # invalid, so no edit
        step(STOP),
    )
    found = judged(played, {"csv 0.6": 0.6})
    assert (found.steps, found.valid_actions) == (7, 6)
    assert (found.edits, found.edits_that_run) == (4, 1)
    assert found.executed_scripts == 5
    assert found.steps_to_first_improvement == 5
    assert found.tokens == 70
    assert found.experiment_s == pytest.approx(4 * 2.0 + 30.0)


def test_tokens_are_unknown_where_the_provider_does_not_tell() -> None:
    assert judged(attempt(step(score=0.4), step(tokens=0)), {}).tokens is None


def test_an_unfinished_attempt_is_not_judged() -> None:
    with pytest.raises(UsageError, match="not finished"):
        judged(attempt(end=None), {})


def test_an_attempt_is_judged_by_its_own_task_only() -> None:
    with pytest.raises(UsageError, match="'wine'"):
        judged(attempt(on="wine"), {})


@pytest.mark.parametrize(("starter", "reference"), [(0.8, 0.8), (0.8, 0.4), (0.0, math.inf)])
def test_a_task_without_a_scale_on_test_is_refused(starter: float, reference: float) -> None:
    with pytest.raises(TaskError, match="no scale"):
        judged(attempt(step(score=0.7)), {}, starter=starter, reference=reference)


def test_a_score_without_kept_predictions_is_our_failure() -> None:
    with pytest.raises(StoreError, match="kept no predictions"):
        judged(attempt(step(score=0.7, submission=None)), {})
