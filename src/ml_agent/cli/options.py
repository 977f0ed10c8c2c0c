"""What many verbs are told alike: the options of a run, and how scripts are isolated."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from ml_agent.core.errors import UsageError

if TYPE_CHECKING:
    from ml_agent.sandbox import Tier

Sandbox = Annotated[
    Literal["auto", "strong", "reduced"],
    typer.Option(
        "--sandbox",
        help="How scripts are isolated: strong (namespaces), reduced (where those are forbidden), "
        "or the best that holds here. See docs/sandbox.md.",
    ),
]
Unsafe = Annotated[
    bool,
    typer.Option(
        "--unsafe-no-isolation",
        help="Run scripts without any isolation: they can read, change and send all you can.",
    ),
]
_WARNING = (
    "WARNING: --unsafe-no-isolation: scripts run WITHOUT ISOLATION. They can read, change and send "
    "everything that you can, labels and secrets included. Every result is marked so."
)


@dataclass(frozen=True, kw_only=True)
class Call:
    """What every verb of a run is told on the command line."""

    recipe: Annotated[str, typer.Argument(help="quickstart, laptop or paper_7b.")]
    run: Annotated[
        str,
        typer.Option(
            "--run",
            help="Name of the run, or its folder. [default: the recipe's]",
            show_default=False,
        ),
    ] = ""
    model: Annotated[
        str,
        typer.Option(
            "--model",
            help="Embedded model's name, a folder, or a hub name.",
            show_default=False,
        ),
    ] = ""
    seed: Annotated[
        int | None, typer.Option("--seed", help="Seed of everything. [default: the recipe's]")
    ] = None
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a figure: --set rl.updates=20. Repeatable."),
    ] = None
    sandbox: Sandbox = "auto"
    unsafe: Unsafe = False

    def tier(self) -> "Tier":
        """See `asked_tier`."""
        return asked_tier(self.sandbox, unsafe=self.unsafe)


def asked_tier(sandbox: Literal["auto", "strong", "reduced"], *, unsafe: bool) -> "Tier":
    """The tier of isolation to use. Warns on standard error, every time, if it is none.

    Raises:
        UsageError: Isolation is asked for and refused at once.
        NoIsolation: It cannot be had; the message says what to do.
    """
    from ml_agent.sandbox import choose_tier

    if not unsafe:
        return choose_tier(sandbox)
    if sandbox != "auto":
        raise UsageError(
            f"--sandbox {sandbox} and --unsafe-no-isolation contradict each other: give one"
        )
    typer.echo(_WARNING, err=True)
    return choose_tier("none")


def verb(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes the fields of `Call` as options, besides its own.

    Args:
        command: Takes a `Call` first, and by name what it alone is told.
    """
    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    names = [field.name for field in fields(Call)]
    options = [*map(_option, fields(Call)), *own]
    options = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in options]

    @functools.wraps(command)
    def called(**given: Any) -> None:
        call = Call(**{name: given.pop(name) for name in names})
        command(call, **given)

    called.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in options}
    return called


def _option(field: "Field[Any]") -> inspect.Parameter:
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if field.default is MISSING else field.default,
        annotation=get_type_hints(Call, include_extras=True)[field.name],
    )
