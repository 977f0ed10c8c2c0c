"""What several runs of one recipe show together: one table over all their seeds, and one by task.

The runs have been trained and evaluated. With --set they play the held-out tasks once more, with
evaluation settings of their own, in copies of their checkpoints under OUT: the same command goes on
after a stop. OUT holds `seeds.json`.

    python bench/seeds.py runs/NAME... --out OUT [--set evaluation.temperature=0.3] [--json]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from ml_agent.cli import evaluating
from ml_agent.cli.recipes import recipe_from, with_changes
from ml_agent.cli.session import working
from ml_agent.core.errors import MLAgentError, UsageError
from ml_agent.core.records import Task
from ml_agent.evals import AttemptResult, Summary, pooled, summarise, terminal_table
from ml_agent.sandbox import Tier, choose_tier
from ml_agent.store import RunFolder, write_json
from step_or_episode import begun

Played = tuple[dict[str, list[AttemptResult]], list[Task]]
"""Attempts by label of the policy, and the tasks they attempted."""


def played(asked: argparse.Namespace, path: Path, tier: Tier) -> Played:
    """The attempts of one run: its own, or those with other settings.

    Raises:
        UsageError: It was not evaluated, or not by such policies.
    """
    source = RunFolder(path)
    recipe = recipe_from(source.config())
    again = bool(asked.change)
    if not again and not source.is_done("eval"):
        raise UsageError(f"{path} was not evaluated: run `ml-agent eval {recipe.name}` for it")
    run = RunFolder(asked.out / path.name) if again else source
    if again:
        trained = [label for label in asked.policies if label != "base"]
        if lacking := [one for one in trained if not (source.checkpoints / one).exists()]:
            raise UsageError(f"{path} has not been trained so far: {', '.join(lacking)} is missing")
        begun(source, run, stages=(), checkpoints=trained)
    with working(run, with_changes(recipe, asked.change), tier=lambda: tier) as session:
        if not run.is_done("eval"):
            with run.stage("eval"):
                evaluating.eval_stage(session, only=asked.policies)
        tasks, results = evaluating.judged(session)
    missing = [label for label in asked.policies if not results.get(label)]
    if missing:
        raise UsageError(f"{run.path} holds no attempts of {', '.join(missing)}")
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
        tier = choose_tier("strong")
        found = [played(asked, path, tier) for path in asked.runs]
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
