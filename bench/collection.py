"""How much faster does a run collect its trajectories with the warm engine than with cold boxes?

Side by side in one run: the same attempts of the playbook at the training tasks, first with one
kind of box, then with the other; nothing is remembered from one to the other. Prints seconds,
experiments and the ratio.

    python bench/collection.py [--attempts 3] [--json]
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ml_agent.cli.preparing import prepare_tasks
from ml_agent.cli.recipes import quickstart
from ml_agent.compute import Scheduler
from ml_agent.env import Experiments
from ml_agent.models.encoder import encode
from ml_agent.runtime import Stagehand
from ml_agent.sandbox import ColdBox, Sandbox, Snapshots, WarmBox, WarmEngine, choose_tier
from ml_agent.store import Store
from ml_agent.tasks import Grader, PreparedTask
from ml_agent.train.collection import CollectConfig, collect, plan


def seconds(
    tasks: list[PreparedTask],
    attempts: int,
    folder: Path,
    make: Callable[[Snapshots, PreparedTask], Sandbox],
) -> tuple[float, int]:
    """How long a collection takes, and how many experiments it ran."""
    recipe, snapshots = quickstart(), Snapshots(folder / "snapshots")
    config = CollectConfig(attempts_per_task=attempts, ideas_per_axis=40)
    planned = plan(tasks, config, embed=encode, style=recipe.style, seed=0)
    store = Store(folder / "store.sqlite")
    with Grader() as grader, Scheduler() as scheduler:
        stagehand = Stagehand(
            box=lambda prepared: make(snapshots, prepared),
            experiments=Experiments(grader, snapshots),
            scheduler=scheduler,
            style=recipe.style,
            offered=recipe.actions,
        )
        began = time.perf_counter()
        collect(planned, stagehand, store)
        taken = time.perf_counter() - began
    experiments = sum(step.execution is not None for one in store.select() for step in one.steps)
    store.close()
    return taken, experiments


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attempts", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    tasks = list(prepare_tasks(quickstart().train_tasks, tier=choose_tier("strong")))
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="ml-agent-bench-") as name, WarmEngine() as engine:
        ways: dict[str, Callable[[Snapshots, PreparedTask], Sandbox]] = {
            "warm": lambda snapshots, task: WarmBox(snapshots, engine, data=task.public),
            "cold": lambda snapshots, task: ColdBox(snapshots, data=task.public),
        }
        for way, make in ways.items():
            taken, experiments = seconds(tasks, asked.attempts, Path(name) / way, make)
            found |= {f"{way}_s": taken, "experiments": experiments}
    found["collection_speedup"] = found["cold_s"] / found["warm_s"]
    if asked.json:
        print(json.dumps(found))
    else:
        for key, value in found.items():
            print(f"{key:<20} {value:9.1f}")


if __name__ == "__main__":
    main()
