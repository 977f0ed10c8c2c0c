"""How tasks get ready: their scripts run in boxes of their own."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from ml_agent.core.records import Execution, Limits
from ml_agent.sandbox import Snapshots, Tier, WarmEngine, box_for
from ml_agent.tasks import SUBMISSION, Grader, PreparedTask, find_package, prepare

_AT_ONCE = 2
"""Tasks prepared at the same time."""


def run_in_box(
    files: Mapping[str, bytes],
    data: Path,
    script: str,
    limits: Limits,
    *,
    tier: Tier,
    engine: WarmEngine,
) -> tuple[Execution, bytes | None]:
    """Run a script in a box of its own: how tasks are prepared and checked."""
    with tempfile.TemporaryDirectory(prefix="ml-agent-") as folder:
        box = box_for(tier, Snapshots(Path(folder)), engine, data=data)
        try:
            for path, content in files.items():
                box.write(path, content)
            execution = box.run((script,), limits=limits)
            return execution, box.read(SUBMISSION)
        finally:
            box.close()


def prepare_tasks(
    names: Sequence[str], *, tier: Tier | Callable[[], Tier]
) -> Iterator[PreparedTask]:
    """Prepare tasks, two at a time, in the order given; those prepared before cost nothing.

    Args:
        names: Ids, or folders of packages.
        tier: How their scripts are isolated, or who says so when one has to be run.

    Raises:
        UsageError: There is no task of that name.
        TaskError: A task is broken, or its data cannot be prepared.
    """
    packages = [find_package(name) for name in names]
    with Grader() as grader, WarmEngine() as engine, ThreadPoolExecutor(_AT_ONCE) as workers:

        def experiment(
            files: Mapping[str, bytes], data: Path, script: str, limits: Limits
        ) -> tuple[Execution, bytes | None]:
            isolation = tier() if callable(tier) else tier
            return run_in_box(files, data, script, limits, tier=isolation, engine=engine)

        ready = partial(prepare, experiment=experiment, grader=grader)
        yield from workers.map(ready, packages)
