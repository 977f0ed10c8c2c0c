"""`ml-agent solve PATH`: a better script for data of one's own."""

import json
import os
import sys
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ml_agent.cli.options import AskingCall, Sandbox, Unsafe, asked_tier, run_folder, taking
from ml_agent.cli.progress import clock, say
from ml_agent.core.errors import UsageError

if TYPE_CHECKING:
    from ml_agent.cli.casting import Casting
    from ml_agent.solve.perceive import Found
    from ml_agent.solve.records import Hints
    from ml_agent.solve.report import Outcome
    from ml_agent.solve.search import Progress
    from ml_agent.tasks import TaskPackage

_MINUTES_AT_LEAST = 0.5
_TELL_EVERY_S = 20.0

_STOPPED = 130


def _text(help_text: str, *names: str) -> Any:
    return typer.Option(*names, help=help_text, show_default=False)


@dataclass(frozen=True, kw_only=True)
class Solving(AskingCall):
    """What the verb is told."""

    path: Annotated[
        Path, typer.Argument(help="Folder with data, training script with its data, or task.")
    ]
    say: Annotated[str, _text('What is wanted: "predict SalePrice, RMSE".')] = ""
    metric: Annotated[str, _text("rmse, auc, log_loss, ...: docs/solve.md has all.")] = ""
    target: Annotated[str, _text("Column to predict.")] = ""
    id: Annotated[str, _text("Column that names rows, or none.")] = ""
    time: Annotated[str, _text("Column that orders rows in time, or none.")] = ""
    dates: Annotated[
        Literal["day-first", "month-first"] | None, _text("What 01/02/2020 means.")
    ] = None
    group: Annotated[str, _text("Column whose equal values stay together, or none.")] = ""
    kind: Annotated[
        Literal["classification", "regression", "text", "image", "time-series"] | None,
        _text("Kind of problem."),
    ] = None
    train: Annotated[str, _text("File with labels.")] = ""
    test: Annotated[str, _text("File to predict.")] = ""
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave out lines that are no rows.")
    ] = False
    minutes: Annotated[float, typer.Option(help="How long it may take, all in all.")] = 10.0
    experiments: Annotated[int | None, _text("How many scripts may be run.")] = None
    out: Annotated[
        Path | None, _text("Folder of the answer. [default: runs/solve-NAME]", "--out")
    ] = None
    search: Annotated[
        Literal["line", "tree"],
        typer.Option(help="On from the best script, or in a tree of attempts (UCT)."),
    ] = "line"
    policy: Annotated[
        str,
        typer.Option(
            metavar="RUN",
            help="Let the policy of a run play. [default: the playbook, which is no model]",
            show_default=False,
        ),
    ] = ""
    checkpoint: Annotated[
        str, _text("Of that run: sft, rl, step-N or base. [default: the last there is]")
    ] = ""
    memory: Annotated[
        bool | None,
        typer.Option(
            "--memory/--no-memory",
            help="Make use of earlier runs and of the texts beside the data. [default: yes, but "
            "not for the policy of a run]",
            show_default=False,
        ),
    ] = None
    style: Annotated[
        Literal["compact", "paper"], typer.Option(help="Of the prompts of --expert.")
    ] = "compact"
    seed: Annotated[int, typer.Option(help="Of the order of ideas, and of a policy.")] = 0
    workers: Annotated[int, typer.Option(help="Experiments at the same time; 0: as it fits.")] = 0
    look: Annotated[
        bool, typer.Option("--look", help="Only say what is concluded about the data.")
    ] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False
    sandbox: Sandbox = "auto"
    unsafe: Unsafe = False

    def hints(self) -> "Hints":
        """What it says about the data."""
        from ml_agent.solve.records import Hints

        return Hints(**{field.name: getattr(self, field.name) for field in fields(Hints)})

    def casting(self) -> "Casting":
        """Who is to play.

        Raises:
            UsageError: Two are to, or one that is not there, or it is said how to ask nobody.
        """
        from ml_agent.cli.casting import Casting
        from ml_agent.cli.recipes import ExpertConfig
        from ml_agent.solve.notes import documents_in

        if not self.expert:
            self.refuse_idle()
        expert = ExpertConfig(
            url=self.expert,
            model=self.expert_model,
            length_field=self.length_field or "max_tokens",
            leave_out=tuple(name for name in self.leave_out.split(",") if name),
        )
        # As `Casting.memory` has it: a run's policy is told nothing unless it is asked for.
        told = self.memory if self.policy else self.expert and self.memory is not False
        return Casting(
            seed=self.seed,
            way=self.search,
            memory=self.memory,
            documents=documents_in(self.path) if told else (),
            policy=run_folder(self.policy) if self.policy else None,
            checkpoint=self.checkpoint,
            expert=expert,
            asking=self.asking_of(expert) if self.expert else None,
            expert_style=self.style,
        )


@taking(Solving)
def solve(call: Solving) -> None:
    """Find a better script for your own data; the same command goes on after a stop.

    What it concludes about the data is shown, and there are options that correct it.

    Example: ml-agent solve my-folder --say "predict SalePrice, RMSE" --minutes 5
    """
    began = monotonic()
    if call.minutes < _MINUTES_AT_LEAST or (call.experiments or 0) < 0 or call.workers < 0:
        raise UsageError(
            f"--minutes {call.minutes:g}, --experiments {call.experiments}, --workers "
            f"{call.workers}: give {_MINUTES_AT_LEAST} minutes at least, and no negative counts"
        )
    task = _task(call.path, call.hints(), asks=not call.as_json)
    if not (call.look and call.as_json):
        _show(task, quiet=call.as_json)
    if call.look:
        if call.as_json:
            typer.echo(_described(task))
        return
    outcome = _work(task, call, call.casting(), deadline=began + 60 * call.minutes)
    _print(outcome, as_json=call.as_json)
    if outcome.stopped:
        raise typer.Exit(_STOPPED)


def _task(path: Path, hints: "Hints", *, asks: bool) -> "Found | TaskPackage":
    from ml_agent.solve.perceive import perceive
    from ml_agent.tasks import load_package

    if (path / "task.toml").is_file():
        return load_package(path)
    ask = _ask if asks and sys.stdin.isatty() and sys.stderr.isatty() else None
    return perceive(path, hints, ask=ask)


def _ask(question: str, assumed: str) -> str:
    return str(typer.prompt(question, default=assumed, err=True))


def _folder(out: Path | None, task: "Found | TaskPackage") -> Path:
    from ml_agent.solve.perceive import Found

    name = task.perceived.name if isinstance(task, Found) else task.card.id
    folder = out or Path("runs") / f"solve-{name}"
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out: {folder} is a file; give a folder")
    if folder.is_dir() and not (folder / "run.json").exists() and any(folder.iterdir()):
        # Parts of a run's folder are made anew: nobody else's files may be in it.
        raise UsageError(f"--out: {folder} holds other files; give a new folder")
    return folder


def _show(task: "Found | TaskPackage", *, quiet: bool) -> None:
    """What was concluded: a short list, on standard error if standard output is for JSON."""
    from ml_agent.solve.perceive import Found

    if not isinstance(task, Found):
        typer.echo(f"task package {task.card.id}: {task.statement}", err=quiet)
        return
    for one in task.perceived.conclusions:
        guess = " (a guess: correct it with an option)" if one.guess else ""
        line = f"{one.about:<16} {one.found}, because {one.because}{guess}"
        typer.echo(_printable(line), err=quiet)
    for warning in task.perceived.warnings:
        typer.echo(_printable(f"careful: {warning}"), err=quiet)


def _described(task: "Found | TaskPackage") -> str:
    from ml_agent.solve.perceive import Found

    if isinstance(task, Found):
        return task.perceived.model_dump_json(indent=2)
    return task.card.model_dump_json(indent=2)


def _printable(line: str) -> str:
    """Without what a terminal would obey: names come from files of anybody."""
    return "".join(one if one.isprintable() else "?" for one in line)


def _work(
    task: "Found | TaskPackage", call: Solving, casting: "Casting", *, deadline: float
) -> "Outcome":
    from ml_agent.cli.experts import account, note_usage
    from ml_agent.cli.preparing import run_in_box
    from ml_agent.cli.session import machinery
    from ml_agent.solve.work import Tools, Wishes, solve
    from ml_agent.store import RunFolder

    folder = _folder(call.out, task)
    run = RunFolder(folder, option="--out")
    opened = machinery(
        run,
        "solve",
        _config(task, call.seed),
        tier=partial(asked_tier, call.sandbox, unsafe=call.unsafe),
        workers=call.workers,
        style=casting.style,
        offered=casting.offered,
    )
    with (
        opened as found,
        run.stage("solve"),
        casting.opened(run) as cast,
    ):
        versions = found.stagehand.versions | casting.versions
        tools = Tools(
            stagehand=replace(found.stagehand, versions=versions),
            store=found.store,
            grader=found.grader,
            snapshots=found.snapshots,
            experiment=partial(run_in_box, tier=found.tier, engine=found.engine),
            at_once=call.workers or len(os.sched_getaffinity(0)),
            player=cast.player,
        )
        wishes = Wishes(
            deadline=deadline, experiments=call.experiments, seed=call.seed, way=call.search
        )
        teller = _Teller()
        try:
            return solve(
                task,
                folder,
                tools,
                wishes,
                tell=lambda line: say(_printable(line)),
                on_attempt=teller,
            )
        finally:
            if cast.exchange is not None:
                say(account(note_usage(run, cast.exchange)))


def _config(task: "Found | TaskPackage", seed: int) -> dict[str, Any]:
    """What decides a run; who plays and how it is searched may change from one call to the next."""
    from ml_agent.solve.perceive import Found
    from ml_agent.solve.work import fingerprint

    if isinstance(task, Found):
        kept = task.perceived.model_dump(mode="json", exclude={"conclusions", "warnings"})
        return {"perceived": kept, "data": fingerprint(task), "seed": seed}
    return {"package": task.card.id, "seed": seed}


class _Teller:
    """Says how a search goes: every improvement, and a sign of life between them."""

    def __init__(self) -> None:
        self._began = self._told = monotonic()
        self._known: int | None = None

    def __call__(self, progress: "Progress") -> None:
        """Look at a search before it begins, and after a batch of attempts."""
        name, now = progress.prepared.task.metric.name, monotonic()
        if self._known is None:
            done = progress.experiments
            told = f"going on after {done} experiments with" if done else "starting with"
            say(f"{told} {name} {progress.score:.4g} on validation")
            self._known, self._told = len(progress.improvements), now
            return
        for one in progress.improvements[self._known :]:
            say(f"{clock(now - self._began):>10}  {name} {one.score:.4g}  {', '.join(one.ideas)}")
            self._told = now
        self._known = len(progress.improvements)
        if now - self._told > _TELL_EVERY_S:
            self._told = now
            say(f"{clock(now - self._began):>10}  {progress.experiments} experiments")


def _print(outcome: "Outcome", *, as_json: bool) -> None:
    from ml_agent.solve.report import findings

    if as_json:
        typer.echo(json.dumps(outcome.model_dump(mode="json"), indent=2))
        return
    for line in findings(outcome):
        typer.echo(line)
    typer.echo(f"It ended because {outcome.ended}.")
    typer.echo(f"script       {outcome.script}")
    if outcome.predictions:
        typer.echo(f"predictions  {outcome.predictions}")
    typer.echo(f"report       {Path(outcome.script).parent.parent / 'report.html'}")
