"""The command line: one verb each, `ml-agent VERB --help`.

Exit codes: 0 done, 1 the work failed, 2 the call was wrong, 130 stopped with Ctrl-C.
"""

import logging
import os
import sys

import typer
from typer.exceptions import Abort, TyperException

from ml_agent import __version__
from ml_agent.cli import doctor, export, ideas, learn, reflect, serve, solve, stages, tasks
from ml_agent.cli.interrupts import came_of_ctrl_c, listen
from ml_agent.compute.machine import keep_to_quota
from ml_agent.core.errors import MLAgentError, UsageError

_STOPPED = "stopped. The same command goes on where this one was."

app = typer.Typer(
    name="ml-agent",
    help="Train LLM agents to do machine-learning engineering by real experiments.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(tasks.app, name="tasks")
app.command()(doctor.doctor)
app.command()(ideas.ideas)
app.command()(stages.collect)
app.command()(reflect.reflect)
app.command()(stages.sft)
app.command()(stages.rl)
app.command(name="eval")(stages.evaluate)
app.command()(stages.train)
app.command()(solve.solve)
app.command()(learn.learn)
app.command()(export.export)
app.command()(serve.serve)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; every failure is one line on standard error and an exit code."""
    listen()
    keep_to_quota()
    # A waiting thread that spins for long costs tenfold where another process holds one of two
    # cores; one that never spins costs a sixth on an idle machine.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    sys.exit(run())


def run() -> int:
    """Do what the command line says; the one place that catches everything."""
    try:
        code = int(app(standalone_mode=False) or 0)
        # typer makes this code of a KeyboardInterrupt.
        return _fail(_STOPPED, code) if code == 130 else code
    except UsageError as error:
        return _fail(str(error), 2)
    except MLAgentError as error:
        return _fail(str(error), 1)
    except (KeyboardInterrupt, Abort):
        return _fail(_STOPPED, 130)
    except TyperException as error:
        # It lists choices one below the other.
        message = " ".join(error.format_message().split()).removesuffix(".")
        return _fail(f"{message}. See `ml-agent --help`.", error.exit_code)
    except BrokenPipeError:
        return 1
    except Exception as error:
        if came_of_ctrl_c(error):
            return _fail(_STOPPED, 130)
        if os.environ.get("ML_AGENT_DEBUG"):
            raise
        return _fail(
            f"{type(error).__name__}: {error} - this is a fault of ml-agent, not yours. "
            "Set ML_AGENT_DEBUG=1 to see where it happened, and please report it.",
            1,
        )


def _fail(message: str, code: int) -> int:
    typer.echo(f"ml-agent: {message}", err=True)
    return code
