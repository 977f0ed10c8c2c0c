"""`ml-agent collect | sft | rl | eval | train`: the stages of a run, alone or all of them."""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ml_agent.cli.interrupts import held
from ml_agent.cli.options import Call, run_folder, verb
from ml_agent.cli.progress import clock, say
from ml_agent.core.errors import ModelError

if TYPE_CHECKING:
    from ml_agent.cli.recipes import Recipe
    from ml_agent.cli.session import Session

_NO_CACHE = typer.Option(False, "--no-cache", help="Use and keep no results of other runs.")
_JSON = typer.Option(False, "--json", help="Print the summary as one JSON object.")
_DRY = typer.Option(
    False, "--dry-run", help="Check everything, an endpoint too, and print the plan; no weights."
)


@verb
def collect(call: Call, *, no_cache: bool = _NO_CACHE, dry_run: bool = _DRY) -> None:
    """Collect expert trajectories on the training tasks.

    Example: ml-agent collect quickstart --run mine

    With a language model: ml-agent collect quickstart --run llm --expert https://HOST/v1
    --expert-model NAME --key-env MY_KEY --price 0.15:0.60 --max-cost 5
    """
    if dry_run:
        _plan(call)
        return
    _work(call, ("collect",), cached=not no_cache)


@verb
def sft(call: Call) -> None:
    """Fine-tune the model on the collected trajectories.

    Example: ml-agent sft quickstart --run mine --set sft.epochs=2
    """
    _work(call, ("sft",))


@verb
def rl(call: Call, *, no_cache: bool = _NO_CACHE) -> None:
    """Practise single steps from recorded states, rewarded by real experiments.

    Example: ml-agent rl quickstart --run mine --set rl.updates=20
    """
    _work(call, ("rl",), cached=not no_cache)


@verb
def evaluate(call: Call, *, no_cache: bool = _NO_CACHE, as_json: bool = _JSON) -> None:
    """Measure base, fine-tuned and practised policy on held-out tasks, and write the report.

    Example: ml-agent eval quickstart --run mine --json
    """
    _work(call, ("eval",), as_json=as_json, cached=not no_cache)


@verb
def train(
    call: Call, *, no_cache: bool = _NO_CACHE, dry_run: bool = _DRY, as_json: bool = _JSON
) -> None:
    """Run all stages: collect, sft, rl, eval. The same command goes on after a stop.

    Example: ml-agent train quickstart
    """
    if dry_run:
        _plan(call)
        return
    _work(call, ("collect", "sft", "rl", "eval"), as_json=as_json, cached=not no_cache)


def _plan(call: Call) -> None:
    """Say what would be done; an endpoint that would be asked is asked one tiny question."""
    from ml_agent.cli.plan import describe

    chosen = chosen_recipe(call)
    asking = call.asking(chosen)
    refuse_what_cannot_work(chosen, loads=False)
    typer.echo(describe(chosen, run_folder(call.run or chosen.name), tier=call.tier))
    if asking is not None:
        from ml_agent.cli.experts import try_endpoint

        typer.echo(try_endpoint(chosen.expert, asking))


def _work(call: Call, names: Sequence[str], *, as_json: bool = False, cached: bool = True) -> None:
    """Open the run, do the stages that are not done, show what came of it."""
    chosen = chosen_recipe(call)
    # Fine-tuning asks nobody, so it needs no key.
    asks = set(names) != {"sft"} or not chosen.expert.url
    asking = call.asking(chosen) if asks else None
    folder = run_folder(call.run or chosen.name)
    is_there = (folder.path / "run.json").exists()
    # What is done can be shown where the model cannot be had any more.
    if left := [name for name in names if not (is_there and folder.is_done(name))]:
        refuse_what_cannot_work(chosen, loads=left != ["collect"])

    with held():
        # numpy is among it: a native library aborts if its import is interrupted.
        from ml_agent.cli import evaluating, pipeline
        from ml_agent.cli.experts import account
        from ml_agent.cli.policies import import_torch
        from ml_agent.cli.session import working

    doing: dict[str, Callable[..., None]] = {
        "collect": pipeline.collect_stage,
        "sft": pipeline.sft_stage,
        "rl": pipeline.rl_stage,
        "eval": evaluating.eval_stage,
    }
    undone: dict[str, Callable[[Session], bool]] = {
        # Whoever trains goes on with what there is.
        "collect": lambda session: names == ("collect",) and pipeline.lacks_attempts(session),
        "eval": evaluating.is_unmeasured,
    }
    opened = working(folder, chosen, tier=call.tier, cached=cached, asking=asking)
    with opened as session, logging_to(folder.path / "log.txt"):
        try:
            for name in names:
                if folder.is_done(name) and not (name in undone and undone[name](session)):
                    say(f"{name}: done before")
                    continue
                say(f"{name}: {pipeline.ABOUT[name]}")
                import_torch()
                with folder.stage(name):
                    doing[name](session)
                say(f"{name}: done in {clock(folder.info().stages[name].seconds)}")
        finally:
            # Also when it was stopped: what was spent is to be seen.
            if (usage := session.write_usage()) is not None:
                say(account(usage))
        if "eval" in names:
            summary = evaluating.report(session)
            if as_json:
                typer.echo(json.dumps(summary.model_dump(mode="json"), indent=2))
            else:
                evaluating.print_summary(summary, folder)


def chosen_recipe(call: Call) -> "Recipe":
    """The recipe a call names, with all the call changes in it.

    Raises:
        UsageError: There is no such recipe, or a change does not fit.
    """
    from ml_agent.cli.recipes import recipe_named

    return recipe_named(call.recipe, call.changes())


def refuse_what_cannot_work(recipe: "Recipe", *, loads: bool) -> None:
    """Check what would be found only after minutes of work, in a run that is bound to it.

    Args:
        recipe: What is to be done.
        loads: The model is needed now; False: at most by a later stage.

    Raises:
        UsageError: There is no such model, or two who play would have one name in records.
        ModelError: The model is needed, and cannot be had.
    """
    from ml_agent.cli.policies import import_torch, refuse_namesake
    from ml_agent.models.embedded import EMBEDDED, check_model, is_unpacked, resolve_model

    refuse_namesake(recipe.model, recipe.expert)
    try:
        check_model(recipe.model)
    except ModelError as error:
        if loads:
            raise
        # What is collected may be meant for another machine.
        say(f"the model was not checked: {error}")
    if loads:
        if recipe.model == EMBEDDED and not is_unpacked():
            say(f"{EMBEDDED} is fetched and unpacked, once: 93 MB, about a minute")
            import_torch()
        resolve_model(recipe.model)


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Keep what the package says of itself in the run's log.

    Raises:
        StoreError: It cannot be written.
    """
    from ml_agent.store.run import writing

    with writing(path):
        handler = _Log(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    ours = logging.getLogger("ml_agent")
    ours.addHandler(handler)
    try:
        yield
    finally:
        ours.removeHandler(handler)
        with writing(path):
            handler.close()


class _Log(logging.FileHandler):
    """A log that prints no traceback where it cannot be written."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Pass over a full disk: what cannot do without it says so, and closing the log does."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)
