"""Real boxes, a real grader and a store: what a solve works with."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import pytest

from ml_agent.cli.preparing import run_in_box
from ml_agent.env import Experiments
from ml_agent.runtime import Stagehand
from ml_agent.sandbox import Snapshots, WarmEngine, box_for
from ml_agent.solve.perceive import Found, perceive
from ml_agent.solve.records import Hints
from ml_agent.solve.report import Outcome
from ml_agent.solve.search import Progress, Way
from ml_agent.solve.work import Tools, Wishes, solve
from ml_agent.store import Store
from ml_agent.tasks import Grader, TaskPackage

PATIENCE_S = 900.0
"""Tests end by counts: the machine may be busy."""


@dataclass(kw_only=True)
class Solver:
    """Solves folders with one warm engine, and keeps what was told."""

    engine: WarmEngine
    grader: Grader
    told: list[str] = field(default_factory=list)
    last: Progress = field(init=False)
    """The search as it was last looked at."""

    def solve(
        self,
        task: Path | TaskPackage,
        out: Path,
        *,
        experiments: int | None = None,
        seconds: float = PATIENCE_S,
        way: Way = "line",
        on_attempt: Callable[[Progress], None] = lambda _: None,
        **hints: str,
    ) -> Outcome:
        """Solve a folder, or a task package, into `out`."""
        snapshots = Snapshots(out / "snapshots")
        store = Store(out / "store.sqlite")
        tools = Tools(
            stagehand=Stagehand(
                box=lambda prepared: box_for(
                    "strong", snapshots, self.engine, data=prepared.public
                ),
                experiments=Experiments(self.grader, snapshots),
            ),
            store=store,
            grader=self.grader,
            snapshots=snapshots,
            experiment=lambda files, data, script, limits: run_in_box(
                files, data, script, limits, tier="strong", engine=self.engine
            ),
        )
        found: Found | TaskPackage = (
            perceive(task, Hints(**hints)) if isinstance(task, Path) else task
        )
        wishes = Wishes(deadline=monotonic() + seconds, experiments=experiments, way=way)

        def look(progress: Progress) -> None:
            self.last = progress
            on_attempt(progress)

        try:
            return solve(found, out, tools, wishes, tell=self.told.append, on_attempt=look)
        finally:
            store.close()


@pytest.fixture(scope="session")
def engine() -> Iterator[WarmEngine]:
    with WarmEngine() as one:
        yield one


@pytest.fixture
def solver(engine: WarmEngine, grader: Grader) -> Solver:
    return Solver(engine=engine, grader=grader)


@pytest.fixture
def out() -> Iterator[Path]:
    """Outside pytest's own folders, which other users may not enter, as a box's user must."""
    with tempfile.TemporaryDirectory(prefix="ml-agent-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
