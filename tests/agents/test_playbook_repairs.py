"""Flawed plays really crash, and their repairs really run."""

from pathlib import Path

import playbook_scripts as scripts
import pytest

from ml_agent.agents.playbook.library import PLAYS, changed
from ml_agent.agents.playbook.repairs import repair, repairable
from ml_agent.core.records import Domain


def crash_of(source: str) -> str | None:
    """Run a script here; the last line of its traceback, None if it ran to its end."""
    try:
        exec(compile(source, "train.py", "exec"), {"__name__": "__main__"})
    except Exception as error:  # noqa: BLE001  (whatever a script may raise)
        return f"{type(error).__name__}: {error}".strip().splitlines()[-1]
    return None


@pytest.mark.parametrize("source", [scripts.FLAT, scripts.FUNCTIONS])
def test_every_flawed_idea_crashes_and_is_mended_in_at_most_two_repairs(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts.write_houses(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert crash_of(source) is None
    tried = 0
    for play in PLAYS.values():
        if not play.flawed or Domain.TABULAR_REGRESSION not in play.idea.domains:
            continue
        script = changed(play.change, source)
        if script is None:
            continue
        tried += 1
        error = crash_of(script)
        assert error is not None and repairable(error), play.idea.id
        for _ in range(2):
            if error is not None:
                script = repair(error, script)
                assert script is not None, f"{play.idea.id}: {error}"
                error = crash_of(script)
        assert error is None, play.idea.id
    assert tried >= 9


def test_missing_values_are_filled_when_the_model_cannot_take_them() -> None:
    error = "ValueError: Input X contains NaN."
    mended = repair(error, scripts.FLAT)
    assert mended is not None
    assert 'make_pipeline(SimpleImputer(strategy="median"), Ridge(alpha=1.0))' in mended


def test_a_keyword_whose_real_name_is_given_already_is_dropped() -> None:
    flawed = scripts.FLAT.replace("alpha=1.0", "alpha=1.0, lambda_=2.0")
    error = "TypeError: Ridge.__init__() got an unexpected keyword argument 'lambda_'"
    assert repair(error, flawed) == scripts.FLAT


def test_a_wrapper_that_fails_is_taken_off() -> None:
    wrapped = scripts.FLAT.replace("Ridge(alpha=1.0)", "BaggingRegressor(Ridge(alpha=1.0))")
    assert repair("ValueError: something", wrapped) == scripts.FLAT
    piped = scripts.FLAT.replace("Ridge(alpha=1.0)", "make_pipeline(PCA(9), Ridge(alpha=1.0))")
    assert repair("ValueError: something", piped) == scripts.FLAT


def test_a_preparation_the_author_made_is_not_taken_off() -> None:
    piped = scripts.FLAT.replace("Ridge(alpha=1.0)", "make_pipeline(prepare, Ridge(alpha=1.0))")
    assert repair("ValueError: something", piped) is None


def test_an_unknown_error_has_no_repair() -> None:
    error = "KeyError: 'price'"
    assert not repairable(error)
    assert repair(error, scripts.FLAT) is None
