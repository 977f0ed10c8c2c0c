"""`ml-agent reflect`: turn failed steps into trajectories that correct them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from ml_agent.cli.interrupts import held
from ml_agent.cli.options import Call, run_folder, verb
from ml_agent.cli.progress import say
from ml_agent.cli.stages import chosen_recipe, logging_to
from ml_agent.core.errors import UsageError

if TYPE_CHECKING:
    from ml_agent.cli.experts import Asking
    from ml_agent.cli.recipes import ExpertConfig
    from ml_agent.cli.session import Session
    from ml_agent.store import RunFolder

_AT_MOST = typer.Option(
    None, "--at-most", min=1, help="Of how many failed steps, evenly over tasks. [default: all]"
)
_JUDGE = typer.Option(
    None,
    "--judge",
    min=1,
    help="Let the model of --expert judge so many steps in which the environment found no error, "
    "evenly over tasks; what it calls one is reflected on too.",
)
_NO_CACHE = typer.Option(False, "--no-cache", help="Use and keep no results of other runs.")
_JSON = typer.Option(False, "--json", help="Print what came of it as one JSON object.")


@verb
def reflect(
    call: Call,
    *,
    at_most: int | None = _AT_MOST,
    judge: int | None = _JUDGE,
    no_cache: bool = _NO_CACHE,
    as_json: bool = _JSON,
) -> None:
    """Let a teacher reflect on failed steps of a run and correct them, for sft to imitate.

    The playbook is the teacher, or with --expert a language model. See docs/reflect.md.

    Example: ml-agent reflect quickstart --run mine
    """
    asked = chosen_recipe(call)
    folder = run_folder(call.run or asked.name)
    folder.info()
    if (folder.checkpoints / "sft-unfinished").exists():
        raise UsageError(
            f"{folder.path} is in the middle of fine-tuning, which would go on with other "
            "examples. Let `ml-agent sft` end first."
        )
    if folder.is_done("sft"):
        say(
            "sft was done before, so nothing will imitate what is reflected on now: no other run "
            "takes it over. To learn from reflections, reflect before sft."
        )
    asking = call.asking(asked)
    if judge is not None and asking is None:
        raise UsageError(
            "--judge needs a language model: give --expert URL --expert-model NAME. Without one "
            "the environment alone says what was an error."
        )
    # A run that the playbook has played may have a language model for its teacher.
    own = bool(folder.config().get("expert", {}).get("url"))
    chosen = asked if own or asking is None else chosen_recipe(_without_expert(call))
    with held():
        # numpy is among it: a native library aborts if its import is interrupted.
        from ml_agent.cli.experts import account
        from ml_agent.cli.policies import import_torch
        from ml_agent.cli.reflecting import in_words, reflect_stage
        from ml_agent.cli.session import working
    beside = None if own else asking
    opened = working(
        folder, chosen, tier=call.tier, cached=not no_cache, asking=asking if own else None
    )
    with (
        opened as session,
        logging_to(folder.path / "log.txt"),
        _taught(session, folder, asked.expert, beside) as taught,
    ):
        import_torch()
        try:
            with folder.stage("reflect"):
                found = reflect_stage(taught, at_most=at_most, judged=judge)
        finally:
            if (usage := taught.write_usage()) is not None:
                say(account(usage))
    if as_json:
        typer.echo(json.dumps(found.model_dump(mode="json"), indent=2))
    else:
        typer.echo(in_words(found))


@contextmanager
def _taught(
    session: "Session", folder: "RunFolder", teacher: "ExpertConfig", asking: "Asking | None"
) -> "Iterator[Session]":
    """The session with a teacher that is no part of the run's configuration, if there is one."""
    if asking is None:
        yield session
        return
    from ml_agent.cli.experts import exchange_with

    hand = session.stagehand
    named = replace(hand, versions=hand.versions | {"endpoint": teacher.url})
    with exchange_with(asking, folder.ledger_path) as exchange:
        recipe = replace(session.recipe, expert=teacher)
        yield replace(session, recipe=recipe, stagehand=named, exchange=exchange)


def _without_expert(call: Call) -> Call:
    """The call that the run was made with, so far as it says anything of an expert: nothing."""
    changes = [one for one in call.change or () if not one.startswith("expert.")]
    unnamed = replace(call, expert="", expert_model="", coder_model="", change=changes)
    return replace(unnamed, length_field=None, leave_out="")
