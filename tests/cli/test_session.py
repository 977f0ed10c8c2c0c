"""What a session opens, and where it keeps it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_agent.cli.options import run_folder
from ml_agent.cli.recipes import Recipe, recipe_named
from ml_agent.cli.session import working
from ml_agent.core.errors import UsageError
from ml_agent.sandbox import ColdBox
from ml_agent.store import RunFolder
from ml_agent.tasks import PreparedTask

SCRIPT = b"print('ran')"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("ML_AGENT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def ask(run: Path, recipe: Recipe, task: PreparedTask, *, cached: bool) -> bool:
    """Run the same script in a session; whether its result was known."""
    with working(RunFolder(run), recipe, tier=lambda: "strong", cached=cached) as session:
        box = ColdBox(session.snapshots, data=task.public)
        box.write("train.py", SCRIPT)
        return session.stagehand.experiments.run(task, box, "train.py").execution.cached


def test_results_go_from_run_to_run_through_the_users_cache_unless_told_otherwise(
    home: Path, tmp_path: Path, guess_task: PreparedTask
) -> None:
    recipe = recipe_named("quickstart")
    assert not ask(tmp_path / "0", recipe, guess_task, cached=False)
    assert not (home / "experiments").exists()
    assert not ask(tmp_path / "1", recipe, guess_task, cached=True)
    assert ask(tmp_path / "2", recipe, guess_task, cached=True)
    assert not ask(tmp_path / "3", recipe, guess_task, cached=False)
    assert list((home / "experiments").rglob("index.sqlite"))


def test_a_recipe_bounds_how_many_experiments_run_at_once() -> None:
    assert recipe_named("quickstart", ["workers=0"]).workers == 0
    with pytest.raises(UsageError, match="give 0 for as many as the machine allows"):
        recipe_named("quickstart", ["workers=-1"])


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("old", "runs/old"),
        ("new", "runs/new"),
        ("both", "runs/both"),
        ("beside", "beside"),
        ("data", "runs/data"),
        ("./new", "new"),
        ("./both", "both"),
        ("runs/old", "runs/old"),
        (".", "."),
        ("..", ".."),
    ],
)
def test_a_run_is_named_by_its_folder_or_by_a_name_under_runs(
    given: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for run in ("runs/old", "runs/both", "both", "beside"):
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "run.json").touch()
    assert run_folder(given).path == Path(meant)
