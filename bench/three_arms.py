"""What does a policy learn from errors that were reflected on, and must they be masked?

Three arms (STeP, arXiv 2505.20023), each fine-tuned from the base model with equally many updates
on the collection of one run:

    golden     what its experts did well
    masked     and reflections with corrections, the errors before them as context alone
    unmasked   and the errors imitated as well

Then each plays the held-out tasks, and is asked in the states of the errors that were shown: how
often does it do the same again? Held-out attempts and states are drawn anew for the intervals, over
tasks and within them; how fine-tuning varies from seed to seed they know only from --seeds.
The same command goes on after a stop. In OUT lie a run's folder for each arm and seed, and
`three_arms.json`.

    ml-agent collect quickstart --run NAME && ml-agent reflect quickstart --run NAME
    python bench/three_arms.py runs/NAME --out OUT [--updates 120] [--seeds 0 1] [--json]
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from ml_agent.cli import evaluating, pipeline
from ml_agent.cli.preparing import prepare_tasks
from ml_agent.cli.recipes import Recipe, with_changes
from ml_agent.cli.session import Session, working
from ml_agent.core.actions import EDITS
from ml_agent.core.base import Record
from ml_agent.core.errors import MLAgentError, UsageError
from ml_agent.core.records import Task, Trajectory
from ml_agent.core.replies import parse_reply
from ml_agent.evals import (
    AttemptResult,
    Interval,
    Summary,
    bootstrap_mean,
    bootstrap_ratio,
    paired_difference,
    pooled,
    summarise,
)
from ml_agent.evals.suite import judge
from ml_agent.models import Sampling
from ml_agent.sandbox import Tier, choose_tier
from ml_agent.store import RunFolder, Stage, Store, write_json
from ml_agent.tasks import PreparedTask
from ml_agent.train.marks import Mark, mark_of
from ml_agent.train.policy import Policy
from ml_agent.train.reflection import Reflected, error_of, fit_to_imitate
from step_or_episode import begun, recipe_of

ARMS: dict[str, Reflected] = {"golden": "none", "masked": "masked", "unmasked": "unmasked"}
PAIRS = (("masked", "golden"), ("unmasked", "masked"))
ASKED_AT_ONCE = 8
"""Prompts; each gets so many answers as --samples says."""


class Shown(Record):
    """One error that was shown, and what an arm does in its place."""

    task: str
    trajectory: str
    mark: Mark | None
    repeated: tuple[bool, ...]
    """Of each answer, whether it is the same action; or none again, where the error held none."""
    logprob: float
    """Of the error as it was written, in nats a token."""


class Arm(Record):
    """What came of one arm with one seed."""

    shown: tuple[Shown, ...]
    results: tuple[AttemptResult, ...]
    errors: tuple[tuple[str, int, int], ...]
    """Of each held-out attempt: its task, how many of its steps were errors, and its steps."""
    recovered: tuple[tuple[str, int, int], ...]
    """Likewise: errors after which an edit was none, and errors that were not its last step."""
    budget: dict[str, float]
    """Updates, and examples and tokens that were imitated in all of them."""


def trained(
    run: RunFolder,
    recipe: Recipe,
    prepared: Mapping[str, PreparedTask],
    tier: Tier,
    *,
    samples: int,
) -> Arm:
    """Fine-tune and evaluate an arm, as far as that is not done."""
    tasks = {name: one.task for name, one in prepared.items()}
    with working(run, recipe, tier=lambda: tier) as session:
        for name, stage in (("sft", pipeline.sft_stage), ("eval", evaluated)):
            if not run.is_done(name):
                with run.stage(name):
                    stage(session)
        path = run.path / f"shown-{samples}.json"
        if not path.exists():
            found = shown_errors(session, tasks, samples=samples)
            write_json(path, {"shown": [one.model_dump(mode="json") for one in found]})
        shown = [Shown.model_validate(one) for one in json.loads(path.read_text())["shown"]]
        played = list(session.store.select(stage=Stage.EVAL))
        judged = judge(played, prepared, session.grader, session.snapshots.get)
        lines = run.read_metrics("sft")
        return Arm(
            shown=tuple(shown),
            results=tuple(judged),
            errors=tuple((one.task, *errors_in(tasks[one.task], one)) for one in played),
            recovered=tuple((one.task, *recovered_in(tasks[one.task], one)) for one in played),
            budget={"updates": len(lines)}
            | {key: sum(line[key] for line in lines) for key in ("examples", "action_tokens")},
        )


def evaluated(session: Session) -> None:
    """Play the held-out tasks with the fine-tuned policy alone."""
    evaluating.eval_stage(session, only=("sft",))


def shown_errors(session: Session, tasks: Mapping[str, Task], *, samples: int) -> list[Shown]:
    """What the fine-tuned policy does where errors were shown, in all arms the same."""
    import torch

    from ml_agent.train.packing import Tokens

    recipe = session.recipe
    chosen = fit_to_imitate(
        session.store.select(stage=Stage.REFLECT),
        tasks,
        longest=recipe.imitate_longest,
        at_most=recipe.imitate_corrections,
    )
    policy = Policy.load(recipe.model, weights=recipe.weights)
    policy.take(session.run.checkpoints / "sft")
    sampler = policy.sampler("sft")
    sampling = Sampling(
        temperature=recipe.evaluation.temperature,
        max_tokens=recipe.evaluation.max_tokens,
        samples=samples,
    )
    found = []
    for first in range(0, len(chosen), ASKED_AT_ONCE):
        some = chosen[first : first + ASKED_AT_ONCE]
        prompts = [one.prompt_of(error_of(one)) for one in some]
        answers = sampler.sample(prompts, sampling, seed=recipe.seed + first)
        for one, prompt, said in zip(some, prompts, answers, strict=True):
            error = one.steps[error_of(one)].completion.text
            tokens = Tokens(
                prompt=policy.chat.prompt_ids(prompt),
                completions=(policy.chat.completion_ids(error),),
            )
            with torch.no_grad():
                logprob = float(policy.token_logprobs([tokens]).mean())
            mark = mark_of(tasks[one.task], one, error_of(one))
            again = [is_the_same(error, answer.text, recipe.actions) for answer in said]
            found.append(
                Shown(
                    task=one.task,
                    trajectory=one.id,
                    mark=mark,
                    repeated=tuple(again),
                    logprob=logprob,
                )
            )
    return found


def is_the_same(error: str, answer: str, offered: Sequence[str]) -> bool:
    """Whether two replies hold the same action, whatever they say of it; or neither holds one."""
    return parse_reply(error, offered).action == parse_reply(answer, offered).action


def errors_in(task: Task, played: Trajectory) -> tuple[int, int]:
    """How many steps of an attempt were errors, and how many it had."""
    marks = [mark_of(task, played, t) for t in range(len(played.steps))]
    return sum(mark is not None for mark in marks), len(marks)


def recovered_in(task: Task, played: Trajectory) -> tuple[int, int]:
    """How many errors were followed by an edit that was none, and how many by anything."""
    ok = [mark_of(task, played, t) is None for t in range(len(played.steps))]
    kinds = [step.action.kind if step.action else "" for step in played.steps]
    good = [t for t, kind in enumerate(kinds) if kind in EDITS and ok[t]]
    wrong = [t for t in range(len(ok) - 1) if not ok[t]]
    return sum(any(later > t for later in good) for t in wrong), len(wrong)


def grouped(rows: Sequence[tuple[str, int, int]]) -> list[list[tuple[float, float]]]:
    """Numerators and denominators by task."""
    groups: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for task, numerator, denominator in rows:
        groups[task].append((numerator, denominator))
    return list(groups.values())


def share(rows: Sequence[tuple[str, int, int]]) -> Interval | None:
    """Of all of them; None: there is nothing to count."""
    groups = grouped(rows)
    return bootstrap_ratio(groups) if any(n for group in groups for _, n in group) else None


def by_state(arms: Mapping[int, Arm]) -> dict[tuple[str, int], float]:
    """How often each shown error was repeated, by task and place, over all seeds."""
    found: dict[tuple[str, int], list[bool]] = defaultdict(list)
    for arm in arms.values():
        for place, one in enumerate(arm.shown):
            found[one.task, place].extend(one.repeated)
    return {key: sum(answers) / len(answers) for key, answers in found.items()}


def repeats(arms: Mapping[int, Arm]) -> Interval:
    """P(repeat the shown error): over tasks, and states of a task."""
    groups: dict[str, list[float]] = defaultdict(list)
    for (task, _), rate in by_state(arms).items():
        groups[task].append(rate)
    return bootstrap_mean(list(groups.values()))


def compared(found: Mapping[str, Mapping[int, Arm]], tasks: Sequence[Task]) -> dict[str, Any]:
    """Every figure of every arm, and the differences between arms."""
    results = pooled(
        (seed, {arm: run.results}) for arm, runs in found.items() for seed, run in runs.items()
    )
    summary = summarise(results, held_out=tasks)
    arms = {}
    for arm, by_seed in found.items():
        runs = by_seed.values()
        logprobs = [one.logprob for run in runs for one in run.shown]
        arms[arm] = {
            "repeat": dumped(repeats(by_seed)),
            "error_logprob": sum(logprobs) / len(logprobs),
            "errors": dumped(share([row for run in runs for row in run.errors])),
            "recovered": dumped(share([row for run in runs for row in run.recovered])),
            "budget": {seed: run.budget for seed, run in by_seed.items()},
            "shown": {
                seed: [one.model_dump(mode="json") for one in run.shown]
                for seed, run in by_seed.items()
            },
        }
    differences = {
        f"{left}-{right}": dumped(paired_difference(by_state(found[left]), by_state(found[right])))
        for left, right in PAIRS
    }
    return {
        "arms": arms,
        "repeat_differences": differences,
        "summary": summary.model_dump(mode="json"),
    }


def dumped(one: Record | None) -> Any:
    """As JSON has it."""
    return None if one is None else one.model_dump(mode="json")


def interval(one: Mapping[str, float] | None) -> str:
    """A mean and its interval."""
    return "-" if one is None else f"{one['mean']:.2f} [{one['low']:.2f}, {one['high']:.2f}]"


def table(told: Mapping[str, Any]) -> Table:
    """The arms side by side, then their differences."""
    columns = ("normalised gain", "P(repeat)", "errors", "recovered", "nats a token")
    shown = Table(Column("arm", no_wrap=True), *columns)
    summary = Summary.model_validate(told["summary"])
    for arm, one in told["arms"].items():
        gain = dumped(summary.policies[arm].normalised_gain)
        cells = (gain, one["repeat"], one["errors"], one["recovered"])
        shown.add_row(arm, *map(interval, cells), f"{one['error_logprob']:.2f}")
    for left, right in PAIRS:
        name = f"{left}-{right}"
        cells = (dumped(summary.comparisons.get(name)), told["repeat_differences"][name])
        shown.add_row(name, *map(interval, cells), "", "", "")
    return shown


def work(asked: argparse.Namespace) -> dict[str, Any]:
    """Train and measure all arms.

    Raises:
        UsageError: The run has nothing to compare.
    """
    source = RunFolder(asked.run)
    recipe = with_changes(recipe_of(source), asked.change)
    with closing(Store(source.store_path)) as store:
        shown = list(store.select(stage=Stage.REFLECT))
    if not any(one.end for one in shown):
        raise UsageError(f"{source.path} has no reflections: run `ml-agent reflect` for it")
    tier = choose_tier("strong")
    both = (*recipe.train_tasks, *recipe.held_out_tasks)
    prepared = {one.task.id: one for one in prepare_tasks(both, tier=tier)}
    tasks = {name: one.task for name, one in prepared.items()}
    if not fit_to_imitate(shown, tasks, longest=recipe.imitate_longest):
        raise UsageError(f"{source.path} has no correction that is fit to be imitated")
    found: dict[str, dict[int, Arm]] = {arm: {} for arm in ARMS}
    for seed in asked.seeds:
        for arm, imitated in ARMS.items():
            run = RunFolder(asked.out / f"{arm}-{seed}", option="--out")
            begun(source, run, stages=(Stage.COLLECT, Stage.REFLECT), checkpoints=())
            sft = replace(recipe.sft, updates=asked.updates, seed=seed)
            its = replace(recipe, seed=seed, sft=sft, imitate_reflected=imitated)
            found[arm][seed] = trained(run, its, prepared, tier, samples=asked.samples)
    played = {one.task for arm in found["golden"].values() for one in arm.results}
    return compared(found, [one.task for one in prepared.values() if one.task.id in played])


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, nargs="?", help="folder of a run that has reflected")
    parser.add_argument("--out", type=Path, default=Path("runs/three-arms"))
    parser.add_argument("--updates", type=int, default=120, help="of fine-tuning, in every arm")
    parser.add_argument("--samples", type=int, default=8, help="answers in each shown state")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--set", dest="change", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    if asked.run is None:
        print("give a run that has collected and reflected")  # `make bench` gives nothing.
        return
    try:
        told = work(asked)
    except MLAgentError as error:
        sys.exit(str(error))
    write_json(asked.out / "three_arms.json", told)
    if asked.json:
        print(json.dumps(told))
    else:
        Console().print(table(told))


if __name__ == "__main__":
    main()
