"""`ml-agent ideas`: ask a language model for ideas, and report how diverse they are."""

import json
from contextlib import nullcontext
from dataclasses import replace

import typer

from ml_agent.cli.interrupts import held
from ml_agent.cli.options import Call, run_folder, verb
from ml_agent.cli.progress import say
from ml_agent.cli.stages import chosen_recipe, logging_to, refuse_what_cannot_work

USUAL = 100
"""Ideas a task and axis: the paper has at least so many a task."""
_JSON = typer.Option(False, "--json", help="Print the report as one JSON object.")


@verb
def ideas(call: Call, *, as_json: bool = _JSON) -> None:
    """Ask a language model for ideas, or take the playbook's; report how diverse the chosen are.

    Example: ml-agent ideas quickstart --run llm --expert https://HOST/v1 --expert-model NAME
    --key-env MY_KEY --ideas 100

    The same options make `ml-agent collect` play with these ideas.
    """
    if call.expert and not chosen_recipe(call).ideas.per_axis:
        call = replace(call, ideas=USUAL)
        say(f"asking for {USUAL} ideas a task and axis; give --ideas {USUAL} to collect too")
    chosen = chosen_recipe(call)
    asking = call.asking(chosen)
    refuse_what_cannot_work(chosen, loads=False)
    with held():
        # numpy is among it: a native library aborts if its import is interrupted.
        from ml_agent.cli.experts import account, exchange_with, note_usage
        from ml_agent.cli.gathering import gather, judge_ideas, verdict
        from ml_agent.cli.policies import import_torch
        from ml_agent.models.encoder import encoder_named
        from ml_agent.train.exploration import remembered

    folder = run_folder(call.run or chosen.name)
    embed = remembered(encoder_named(chosen.collect.encoder))
    with (
        folder.working(chosen.name, chosen.as_json()),
        logging_to(folder.path / "log.txt"),
        nullcontext() if asking is None else exchange_with(asking, folder.ledger_path) as exchange,
    ):
        import_torch()
        try:
            known = gather(folder, chosen, exchange, embed=embed)
        finally:
            # Also when it was stopped: what was spent is to be seen.
            if exchange is not None:
                say(account(note_usage(folder, exchange)))
        judged = judge_ideas(folder, chosen, known, embed=embed)
    if as_json:
        typer.echo(json.dumps(judged.model_dump(mode="json"), indent=2))
    else:
        typer.echo(verdict(judged, folder))
