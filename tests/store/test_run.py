"""A run folder goes on with its own configuration alone, or with one that decides the same."""

from pathlib import Path

import pytest

from ml_agent.core.errors import UsageError
from ml_agent.store import RunFolder

CONFIG = {"name": "small", "workers": 1, "sft": {"lr": 0.1, "row_tokens": 8}, "expert": {"url": ""}}


def test_what_decides_nothing_may_change_within_a_run_and_is_noted(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    with run.working("small", CONFIG):
        pass
    other = {
        **CONFIG,
        "workers": 4,
        "sft": {"lr": 0.1, "row_tokens": 4},
        "expert": {"url": "", "leave_out": ["seed"]},
    }
    with run.working("small", other):
        assert run.config() == other


def test_a_configuration_that_decides_something_else_is_refused_and_changes_nothing(
    tmp_path: Path,
) -> None:
    run = RunFolder(tmp_path / "run")
    with run.working("small", CONFIG):
        pass
    other = {**CONFIG, "workers": 4, "sft": {"lr": 0.2, "row_tokens": 8}}
    with (
        pytest.raises(UsageError, match=r"it differs in sft\.lr\. Choose another name"),
        run.working("small", other),
    ):
        pass
    assert run.config() == CONFIG


def test_a_damaged_run_names_the_option_that_chooses_another(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, option="--out")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UsageError, match="Choose another name with --out"):
        run.config()


def test_a_run_is_known_by_its_configuration_before_anything_is_written(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    assert not run.is_begun_with(CONFIG)
    assert not run.path.exists()
    with run.working("small", CONFIG):
        pass
    assert run.is_begun_with({**CONFIG, "workers": 4})
    with pytest.raises(UsageError, match="it differs in name"):
        run.is_begun_with({**CONFIG, "name": "other"})
