"""What several runs of one recipe show together: one table over all their seeds, and one by task.

The runs differ in their seeds alone, and have been trained and evaluated. With --set they play the
held-out tasks once more, with evaluation settings of their own, in copies of their checkpoints
under OUT: the same command goes on after a stop, with other --policies too. OUT holds `seeds.json`.

    python bench/seeds.py runs/NAME... --out OUT [--set evaluation.temperature=0.3] [--json]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from ml_agent.cli import evaluating
from ml_agent.cli.recipes import RECIPES, Recipe, with_changes
from ml_agent.cli.session import working
from ml_agent.core.errors import MLAgentError, UsageError
from ml_agent.core.records import Task
from ml_agent.evals import AttemptResult, Summary, pooled, summarise, terminal_table
from ml_agent.sandbox import choose_tier
from ml_agent.store import RunFolder, differences, write_json
from step_or_episode import begun, recipe_of

Played = tuple[dict[str, list[AttemptResult]], list[Task]]
"""Attempts by label of the policy, and the tasks they attempted."""
SEEDS = {"seed", "sft.seed"}


def alike(asked: argparse.Namespace) -> list[Recipe]:
    """What each run was made by, with what is changed for the evaluation.

    Raises:
        UsageError: Two have one seed, or differ in more than that.
    """
    recipes = [with_changes(recipe_of(RunFolder(path)), asked.change) for path in asked.runs]
    first: dict[int, Path] = {}
    for path, recipe in zip(asked.runs, recipes, strict=True):
        if differing := set(differences(recipes[0].as_json(), recipe.as_json())) - SEEDS:
            raise UsageError(
                f"{asked.runs[0]} and {path} differ in more than the seed "
                f"({', '.join(sorted(differing)[:5])}), so they are not judged together. Give runs "
                "of one recipe, or set with --set what may be the same"
            )
        if (other := first.setdefault(recipe.seed, path)) is not path:
            raise UsageError(
                f"{other} and {path} both have seed {recipe.seed}, so they play the same attempts. "
                "Give each run a seed of its own"
            )
    return recipes


def played(asked: argparse.Namespace, path: Path, recipe: Recipe) -> Played:
    """The attempts of one run: its own, or those with other settings.

    Raises:
        UsageError: It was not evaluated, or not by such policies.
    """
    run = source = RunFolder(path)
    if asked.change:
        run = RunFolder(asked.out / path.resolve().name, option="--out")
        trained = [label for label in asked.policies if label != "base"]
        begun(source, run, stages=(), checkpoints=trained)
    elif not source.is_done("eval"):
        evaluate = "run `ml-agent eval` for it, or " if recipe.name in RECIPES else ""
        raise UsageError(
            f"{path} was not evaluated: {evaluate}give --set, such as --set "
            "evaluation.attempts_per_task=8, to have its policies play in a copy"
        )
    with working(run, recipe, tier=lambda: choose_tier("strong")) as session:
        if asked.change:
            # Always: it plays what is missing, be that for another policy than the last time.
            with run.stage("eval"):
                evaluating.eval_stage(session, only=asked.policies)
        tasks, results = evaluating.judged(session)
    if missing := [label for label in asked.policies if not results.get(label)]:
        there = ", ".join(label for label, attempts in results.items() if attempts)
        raise UsageError(
            f"{run.path} holds no attempts of {', '.join(missing)}, but of {there}: name those "
            "with --policies"
        )
    kept = {label: results[label] for label in asked.policies}
    return kept, [one.task for one in tasks.values()]


def by_task(summary: Summary) -> Table:
    """Mean normalised gain of every policy on every task."""
    table = Table(Column("task", no_wrap=True), "starter", "reference", *summary.policies)
    for row in summary.per_task:
        gains = [
            f"{row.policies[label].normalised_gain:.2f}" if label in row.policies else "-"
            for label in summary.policies
        ]
        table.add_row(row.task, f"{row.starter_test:.4g}", f"{row.reference_test:.4g}", *gains)
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate what is not evaluated, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="*", help="folders of trained runs")
    parser.add_argument("--out", type=Path, default=Path("runs/seeds"))
    parser.add_argument("--policies", nargs="+", default=["sft", "rl"])
    parser.add_argument("--set", dest="change", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    if not asked.runs:
        print("give trained runs")  # `make bench` gives nothing.
        return
    try:
        if len({path.resolve().name for path in asked.runs}) < len(asked.runs):
            raise UsageError("two of the runs are one, or have one name: give each once")
        each = zip(asked.runs, alike(asked), strict=True)
        found = [played(asked, path, recipe) for path, recipe in each]
        summary = summarise(
            pooled((number, results) for number, (results, _) in enumerate(found)),
            held_out=found[0][1],
        )
    except MLAgentError as error:
        sys.exit(str(error))
    asked.out.mkdir(parents=True, exist_ok=True)
    write_json(asked.out / "seeds.json", summary.model_dump(mode="json"))
    if asked.json:
        print(summary.model_dump_json())
        return
    Console().print(terminal_table(summary))
    Console().print(by_task(summary))


if __name__ == "__main__":
    main()
