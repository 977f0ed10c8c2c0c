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
