"""`ml-agent learn RUN...`: a policy learns from its user's own runs, and is kept only if better."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ml_agent.cli.interrupts import held
from ml_agent.cli.options import Sandbox, Unsafe, asked_tier, run_folder, taking
from ml_agent.cli.progress import clock, say
from ml_agent.cli.stages import logging_to, refuse_what_cannot_work
from ml_agent.core.errors import UsageError

if TYPE_CHECKING:
    from ml_agent.cli.learning import Learned
    from ml_agent.cli.recipes import Recipe
    from ml_agent.store import RunFolder

_NAME = "learn"
_SLOWER = 3.0
"""A policy that can do something already takes smaller steps: what it is fine-tuned with is so much
less than what it was first trained with."""


@dataclass(frozen=True, kw_only=True)
class Learning:
    """What the verb is told."""

    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Runs to learn from, by name or folder."),
    ]
    policy: Annotated[
        str, typer.Option("--policy", metavar="RUN", help="The run whose policy learns.")
    ] = "quickstart"
    checkpoint: Annotated[
        str,
        typer.Option(
            "--checkpoint",
            help="Which of its policies: sft, rl or step-N. [default: the last there is]",
            show_default=False,
        ),
    ] = ""
    by: Annotated[
        Literal["both", "sft", "rl"],
        typer.Option("--by", help="Imitate what helped, practise in the states, or both."),
    ] = "both"
    run: Annotated[
        str,
        typer.Option(
            "--run", help="Name of the new run. [default: POLICY-learned]", show_default=False
        ),
    ] = ""
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a figure: --set rl.updates=4. Repeatable."),
    ] = None
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Use and keep no results of other runs.")
    ] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print the decision as JSON.")] = False
    sandbox: Sandbox = "auto"
    unsafe: Unsafe = False


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """Who learns from what."""

    policy: "RunFolder"
    """The run whose policy it is; nothing in it is changed."""
    name: str
    """Of that policy in its run's records."""
    checkpoint: Path
    runs: "tuple[RunFolder, ...]"
    by: Literal["both", "sft", "rl"]

    @property
    def stages(self) -> tuple[str, ...]:
        """In order."""
        trained = ("sft", "rl") if self.by == "both" else (self.by,)
        return ("gather", *trained, "judge")


@taking(Learning)
def learn(call: Learning) -> None:
    """Train a policy further on your own runs; it is kept only if it beats the old one.

    Runs are those of `ml-agent solve` and of training. The old policy is never changed. The same
    command goes on after a stop.

    Example: ml-agent learn solve-houses solve-churn --policy quickstart
    """
    folder = run_folder(call.run or f"{Path(call.policy).resolve().name}-learned")
    lesson, recipe = _asked(call, folder)
    with held():
        # numpy is among it: a native library aborts if its import is interrupted.
        from ml_agent.cli import learning
        from ml_agent.cli.policies import import_torch
        from ml_agent.cli.session import working
    begun = (folder.path / "run.json").exists()
    gathered = begun and folder.is_done("gather")
    found = [] if gathered else learning.read_runs(lesson, recipe)
    asked: dict[str, Any] = {
        "policy": call.policy,
        "checkpoint": call.checkpoint,
        "runs": sorted(call.runs),
        "by": call.by,
    }
    opened = working(
        folder,
        recipe,
        tier=lambda: asked_tier(call.sandbox, unsafe=call.unsafe),
        cached=not call.no_cache,
        also={"learn": asked},
    )
    with opened as session, logging_to(folder.path / "log.txt"):
        for name in lesson.stages:
            if folder.is_done(name):
                say(f"{name}: done before")
                continue
            say(f"{name}: {learning.ABOUT[name]}")
            import_torch()
            with folder.stage(name):
                if name == "gather":
                    learning.gather_stage(session, lesson, found)
                else:
                    learning.learn_stages(session, lesson)[name]()
            say(f"{name}: done in {clock(folder.info().stages[name].seconds)}")
    _print(learning.read_learned(folder), folder, as_json=call.as_json)


def _asked(call: Learning, folder: "RunFolder") -> "tuple[Lesson, Recipe]":
    """Who learns from what, and how.

    Raises:
        UsageError: The policy's run is none, or it cannot learn here; a change does not fit.
    """
    from ml_agent.cli.policies import chosen_policy
    from ml_agent.cli.recipes import recipe_from, with_changes
    from ml_agent.core.actions import NEEDS_CODER

    policy = run_folder(call.policy)
    runs = tuple(run_folder(name) for name in call.runs)
    paths = [one.path.resolve() for one in (policy, folder, *runs)]
    if len(set(paths)) < len(paths):
        raise UsageError("a run is named twice: give --policy, --run and each RUN another name")
    policy.info()
    try:
        recipe = recipe_from(policy.config())
    except UsageError as error:
        raise UsageError(f"--policy {call.policy}: {error}") from error
    if coded := sorted(NEEDS_CODER & set(recipe.actions)):
        raise UsageError(
            f"--policy {call.policy}: it acts through a coder ({', '.join(coded)}), and `learn` "
            "asks no endpoint"
        )
    name, checkpoint = chosen_policy(policy, recipe.model, call.checkpoint)
    if checkpoint is None:
        raise UsageError(f"--checkpoint {call.checkpoint}: that is the model before all training")
    recipe = with_changes(further(recipe), call.change or ())
    refuse_what_cannot_work(recipe, loads=True)
    lesson = Lesson(policy=policy, name=name, checkpoint=checkpoint, runs=runs, by=call.by)
    return lesson, recipe


def further(recipe: "Recipe") -> "Recipe":
    """How a policy goes on learning that was trained by a recipe."""
    if recipe.name == _NAME:
        return recipe
    slower = replace(recipe.sft, lr=recipe.sft.lr / _SLOWER)
    return replace(recipe, name=_NAME, sft=slower)


def _print(learned: "Learned", folder: "RunFolder", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(learned.model_dump(mode="json"), indent=2))
        return
    typer.echo(learned.why)
    typer.echo(f"rule      {learned.rule}")
    typer.echo(f"policy    {folder.path / learned.use}")
    if learned.rejected:
        typer.echo(f"rejected  {folder.path / learned.rejected}")
    typer.echo(f"decision  {folder.path / 'learned.json'}")
    typer.echo(f"report    {folder.path / 'report.html'}")
