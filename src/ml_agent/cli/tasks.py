"""`ml-agent tasks`: what there is to solve, and whether it is fit to be solved."""

import json
from functools import partial

import typer
from rich.console import Console
from rich.table import Table

from ml_agent.cli.options import Sandbox, Unsafe, asked_tier
from ml_agent.cli.progress import progress, say
from ml_agent.core.errors import MLAgentError, UsageError
from ml_agent.env.experiments import format_score

app = typer.Typer(help="Look at tasks, prepare them, check them.", no_args_is_help=True)

_JSON = typer.Option(False, "--json", help="Print one JSON object instead of a table.")
_ALL = typer.Option(False, "--all", help="Every task of the library.")
_NAMES = typer.Argument(None, help="Task ids, or folders of task packages.", show_default=False)


@app.command("list")
def list_tasks(as_json: bool = _JSON) -> None:
    """List the tasks of the library.

    Example: ml-agent tasks list
    """
    from ml_agent.tasks import catalogue

    cards = [package.card for package in catalogue().values()]
    if as_json:
        rows = [
            {"id": c.id, "role": c.role, "domain": c.domain.value, "metric": c.metric.name}
            | {"licence": c.source.licence}
            for c in cards
        ]
        typer.echo(json.dumps({"tasks": rows}, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("task", "role", "domain", "metric", "data licence"):
        table.add_column(column, overflow="fold")
    for card in sorted(cards, key=lambda one: (one.role != "train", one.id)):
        table.add_row(card.id, card.role, card.domain, card.metric.name, card.source.licence)
    Console().print(table)


@app.command()
def show(name: str, as_json: bool = _JSON) -> None:
    """Show one task: statement, card, starter script, and its scores if it is prepared.

    Nothing is downloaded or run.

    Example: ml-agent tasks show house-prices
    """
    from ml_agent.tasks import find_package, find_prepared

    package = find_package(name)
    card, starter = package.card, package.starter.decode()
    prepared = find_prepared(package)
    task = prepared.task if prepared else None
    if as_json:
        known = {
            "statement": package.statement,
            "m_init": task and task.m_init,
            "m_best": task and task.m_best,
            "starter": starter,
        }
        typer.echo(json.dumps(card.model_dump(mode="json") | known, indent=2))
        return
    better = "higher" if card.metric.higher_is_better else "lower"
    typer.echo(f"{card.id}  ({card.domain}, {card.role})\n\n{package.statement}\n")
    typer.echo(f"metric      {card.metric.name}, {better} is better")
    if task is not None:
        typer.echo(f"starter     {format_score(task, task.m_init)} on validation")
        typer.echo(f"reference   {format_score(task, task.m_best)} on validation")
    else:
        typer.echo(f"scores      measured by `ml-agent tasks prepare {name}`, which was not done")
    typer.echo(f"data        {card.source.title}\nlicence     {card.source.licence}")
    typer.echo(f"\nstarter/train.py\n{starter}")


@app.command()
def prepare(
    names: list[str] = _NAMES,
    everything: bool = _ALL,
    sandbox: Sandbox = "auto",
    unsafe: Unsafe = False,
) -> None:
    """Fetch, cut and measure the data of tasks; what is prepared already costs nothing.

    Example: ml-agent tasks prepare --all
    """
    from ml_agent.cli.preparing import prepare_tasks

    chosen = _chosen(names, everything)
    tier = asked_tier(sandbox, unsafe=unsafe)
    with progress("preparing tasks", len(chosen)) as bar:
        for prepared in prepare_tasks(chosen, tier=tier):
            bar.advance(prepared.task.id)
    say(f"{len(chosen)} task{'s are' if len(chosen) > 1 else ' is'} ready")


@app.command()
def check(
    names: list[str] = _NAMES,
    everything: bool = _ALL,
    as_json: bool = _JSON,
    sandbox: Sandbox = "auto",
    unsafe: Unsafe = False,
) -> None:
    """Check that tasks are fit to learn from; exit code 1 if one is not.

    The starter keeps its budget, the reference beats it by more than seed noise, doing nothing
    does not, splits and grading are deterministic, no label can be read from inside the box or
    looked up from a copy of its row.

    Example: ml-agent tasks check house-prices
    """
    from ml_agent.cli.preparing import run_in_box
    from ml_agent.sandbox import WarmEngine
    from ml_agent.tasks import Grader, find_package
    from ml_agent.tasks.checks import check as admit

    packages = [find_package(name) for name in _chosen(names, everything)]
    tier = asked_tier(sandbox, unsafe=unsafe)
    reports = []
    with (
        Grader() as grader,
        WarmEngine() as engine,
        progress("checking tasks", len(packages)) as bar,
    ):
        experiment = partial(run_in_box, tier=tier, engine=engine)
        for package in packages:
            reports.append(admit(package, experiment=experiment, grader=grader))
            bar.advance(package.card.id)
    if as_json:
        rows = [{**one.model_dump(mode="json"), "passed": one.passed} for one in reports]
        typer.echo(json.dumps({"tasks": rows}, indent=2))
    else:
        for report in reports:
            typer.echo(f"{'ok  ' if report.passed else 'FAIL'}  {report.task}")
            for entry in report.checks:
                typer.echo(f"      {'+' if entry.passed else '-'} {entry.name}: {entry.found}")
    failed = [report.task for report in reports if not report.passed]
    if failed:
        raise MLAgentError(f"not fit to learn from: {', '.join(failed)}")


def _chosen(names: list[str] | None, everything: bool) -> list[str]:
    from ml_agent.tasks import catalogue

    if bool(names) == everything:
        raise UsageError("name tasks, or say --all; `ml-agent tasks list` shows what there is")
    return list(names or catalogue())
