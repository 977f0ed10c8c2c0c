"""What every stage of a run works with, opened once and closed whatever happens."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ml_agent.cli.recipes import Recipe
from ml_agent.core.records import Execution, Limits
from ml_agent.env import Experiments
from ml_agent.runtime import Stagehand
from ml_agent.sandbox import ColdBox, Snapshots, isolation
from ml_agent.store import RunFolder, Store, versions
from ml_agent.tasks import SUBMISSION, Grader, PreparedTask, find_package, prepare

_AT_ONCE = 2
"""Tasks prepared at the same time."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """One process at work in one run."""

    run: RunFolder
    recipe: Recipe
    store: Store
    grader: Grader
    snapshots: Snapshots
    stagehand: Stagehand


@contextmanager
def working(run: RunFolder, recipe: Recipe) -> Iterator[Session]:
    """Open a run for work.

    Raises:
        UsageError: The run was made with another configuration, or is being worked in.
        NoIsolation: This machine cannot run agent code safely.
        StoreError: The run cannot be read or written.
    """
    with run.working(recipe.name, recipe.as_json()), Grader() as grader:
        made_by = versions() | {"isolation": isolation()}
        snapshots = Snapshots(run.snapshots)
        store = Store(run.store_path)
        try:
            yield Session(
                run=run,
                recipe=recipe,
                store=store,
                grader=grader,
                snapshots=snapshots,
                stagehand=Stagehand(
                    box=lambda prepared: ColdBox(snapshots, data=prepared.public),
                    experiments=Experiments(grader, snapshots),
                    style=recipe.style,
                    offered=recipe.actions,
                    versions=made_by,
                    workers=recipe.workers,
                ),
            )
        finally:
            store.close()


def run_in_box(
    files: Mapping[str, bytes], data: Path, script: str, limits: Limits
) -> tuple[Execution, bytes | None]:
    """Run a script in a box of its own: how tasks are prepared and checked."""
    with tempfile.TemporaryDirectory(prefix="ml-agent-") as folder:
        box = ColdBox(Snapshots(Path(folder)), data=data)
        try:
            for path, content in files.items():
                box.write(path, content)
            execution = box.run((script,), limits=limits)
            return execution, box.read(SUBMISSION)
        finally:
            box.close()


def prepare_tasks(names: Sequence[str]) -> Iterator[PreparedTask]:
    """Prepare tasks, two at a time, in the order given; those prepared before cost nothing.

    Raises:
        UsageError: There is no task of that name.
        TaskError: A task is broken, or its data cannot be prepared.
    """
    packages = [find_package(name) for name in names]
    isolation()
    with ThreadPoolExecutor(_AT_ONCE) as workers:
        yield from workers.map(lambda one: prepare(one, experiment=run_in_box), packages)
