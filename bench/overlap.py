"""How many more updates a minute does practice make where its parts overlap?

Side by side in one run, the two ways taking turns: sampling, experiments and learning one after the
other (`rl.staleness=0`), and overlapping with a bound of K. Without a run the experiments are toys,
as they would be on other machines: all that one does is wait, SECONDS in the median, with a
log-normal spread (sigma 1: one in twenty takes five times as long); rewards are drawn, and the
embedded model samples and learns. With a fine-tuned run its own recipe practises from it, with real
experiments on this machine, of which none is remembered.

    python bench/overlap.py [--staleness 2] [--updates 6] [--repeats 2] [--seconds 4] [--json]
    python bench/overlap.py runs/NAME [--staleness 2] [--updates 10] [--repeats 2] [--json]
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from learner import states
from ml_agent.cli import pipeline
from ml_agent.cli.session import working
from ml_agent.compute import Scheduler
from ml_agent.core.errors import MLAgentError
from ml_agent.core.records import (
    Completion,
    Domain,
    End,
    Message,
    Metric,
    SplitDigests,
    Step,
    Task,
    Trajectory,
)
from ml_agent.env import Experiments
from ml_agent.models.embedded import EMBEDDED
from ml_agent.runtime import Stagehand
from ml_agent.sandbox import Snapshots, choose_tier
from ml_agent.store import RunFolder, Store
from ml_agent.tasks import Grader, PreparedTask
from ml_agent.train.policy import Policy
from ml_agent.train.pool import Pool
from ml_agent.train.rehearsal import Rehearsed
from ml_agent.train.stepwise import Practice, StepwiseConfig
from ml_agent.train.update import Group, Learner
from step_or_episode import begun, recipe_of

Lines = list[dict[str, Any]]  # Figures of every update.


class ToyBox:
    """Holds nothing; to restore a state is the experiment, and takes a while."""

    tier = "toy"

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s

    def restore(self, digest: str) -> None:
        """Take that while."""
        time.sleep(self._wait_s)

    def snapshot(self) -> str:
        """Nothing."""
        return "toy"

    def close(self) -> None:
        """Nothing."""


class Drawn:
    """A learner whose rewards are drawn: no toy earns anything."""

    def __init__(self, learner: Learner, seed: int) -> None:
        self._learner, self._random = learner, random.Random(seed)
        self.config = learner.config

    def update(
        self, groups: Sequence[Group], rehearsed: Rehearsed | None = None
    ) -> dict[str, float | None]:
        """Learn from other rewards."""
        return self._learner.update(
            [
                replace(
                    one, rewards=tuple(self._random.random() for _ in one.rewards), baseline=None
                )
                for one in groups
            ],
            rehearsed,
        )

    def state(self) -> dict[str, Any]:
        """The learner's."""
        return self._learner.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """The learner is."""
        self._learner.restore(state)


def toy_states(count: int) -> list[Trajectory]:
    """Attempts of one step, whose prompts are as long as compact ones."""
    said = Completion(text="", policy="toy")
    return [
        Trajectory(
            id=str(place),
            task="toy",
            seed=0,
            policy="toy",
            versions={},
            workspace="toy",
            messages=(Message(role="user", text=text),),
            steps=(Step(prompt=(0,), completion=said, action=None),),
            end=End.SUBMITTED,
        )
        for place, text in enumerate(states(count, 700))
    ]


def toy(config: StepwiseConfig, seed: int, asked: argparse.Namespace, folder: Path) -> Lines:
    """Practise with experiments that wait."""
    task = Task(
        id="toy",
        domain=Domain.TABULAR_REGRESSION,
        statement="Wait.",
        metric=Metric(name="mae", higher_is_better=False),
        m_init=1.0,
        m_best=0.0,
        splits=SplitDigests(public="", valid="", test=""),
    )
    prepared = PreparedTask(task=task, public=folder, answers=folder, workspace={})
    policy, draw, lines = Policy.load(asked.model), random.Random(seed), Lines()
    policy.sampler("warm")  # The first one loads the model once more.
    grader, workers = Grader(), range(asked.workers)
    with closing(Store(folder / "store.sqlite")) as store, grader, Scheduler(workers) as scheduler:
        practice = Practice(
            policy=policy,
            learner=Drawn(config.learner(policy), seed),
            pool=Pool(toy_states(16), seed=seed),
            tasks={"toy": prepared},
            stagehand=Stagehand(
                box=lambda _: ToyBox(asked.seconds * draw.lognormvariate(0, 1)),
                experiments=Experiments(grader, Snapshots(folder / "snapshots")),
                scheduler=scheduler,
                offered=(),  # No box would carry it out.
            ),
            store=store,
            config=config,
            name="toy",
            seed=seed,
        )
        practice.run(on_update=lambda _, figures: lines.append(dict(figures)))
    return lines


def real(config: StepwiseConfig, seed: int, source: RunFolder, folder: Path) -> Lines:
    """Practise as the recipe of a run does."""
    given = recipe_of(source)
    bounds = {"mode": "step", "staleness": config.staleness, "updates": config.updates}
    unbounded = {"scripts": None, "seconds": None}
    recipe = replace(given, seed=seed, rl=replace(given.rl, **bounds, **unbounded))
    run = RunFolder(folder / "run")
    begun(source, run)
    with working(run, recipe, tier=lambda: choose_tier("strong"), cached=False) as session:
        pipeline.rl_stage(session)
    return run.read_metrics("rl")


def summary(ways: Mapping[str, list[Lines]]) -> dict[str, float]:
    """What both ways came to, over all repeats."""
    found: dict[str, float] = {}
    for way, repeats in ways.items():
        lines = [line for one in repeats for line in one]
        seconds = sum(one[-1]["seconds"] for one in repeats)
        waited = sum(line.get("waiting_s", line.get("experiments_s", 0)) for line in lines)
        found |= {
            f"{way}_updates_per_min": 60 * len(lines) / seconds,
            f"{way}_waiting_share": waited / seconds,
        }
    overlapped = [line for one in ways["overlapped"] for line in one]
    ratios = [
        (len(two) / two[-1]["seconds"]) / (len(one) / one[-1]["seconds"])
        for one, two in zip(ways["in_turn"], ways["overlapped"], strict=True)
    ]
    found |= {
        "overlap_speedup": statistics.median(ratios),
        "overlap_speedup_least": min(ratios),
        "staleness_mean": statistics.fmean(line["staleness_mean"] for line in overlapped),
        "late_actions_an_update": statistics.fmean(line["late_actions"] for line in overlapped),
    }
    return found


def measured(asked: argparse.Namespace) -> dict[str, list[Lines]]:
    """Figures of every update, by way and repeat.

    Raises:
        UsageError: The run is none that can be practised from.
    """
    ways: dict[str, list[Lines]] = {"in_turn": [], "overlapped": []}
    for seed in range(asked.repeats):
        for way, lines in ways.items():
            config = StepwiseConfig(
                updates=asked.updates,
                staleness=asked.staleness if way == "overlapped" else 0,
                states=asked.states,
                actions=asked.actions,
                max_tokens=asked.tokens,
            )
            with tempfile.TemporaryDirectory(prefix="ml-agent-bench-") as name:
                if asked.run is None:
                    lines.append(toy(config, seed, asked, Path(name)))
                else:
                    lines.append(real(config, seed, RunFolder(asked.run), Path(name)))
    return ways


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, nargs="?", help="folder of a run with checkpoints/sft")
    for name, default in (("staleness", 2), ("updates", 6), ("repeats", 2), ("workers", 8)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, default in (("states", 2), ("actions", 8), ("tokens", 64)):
        parser.add_argument(f"--{name}", type=int, default=default, help="of toys")
    parser.add_argument("--seconds", type=float, default=4.0, help="median of toy experiments")
    parser.add_argument("--model", default=EMBEDDED, help="of toys")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    try:
        found = summary(measured(asked))
    except MLAgentError as error:
        sys.exit(str(error))
    if asked.json:
        print(json.dumps(found))
    else:
        for key, value in found.items():
            print(f"{key:<32} {value:9.3f}")


if __name__ == "__main__":
    main()
