"""What many verbs are told alike: the options of a run, and how scripts are isolated."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from ml_agent.core.errors import UsageError

if TYPE_CHECKING:
    from ml_agent.cli.experts import Asking
    from ml_agent.cli.recipes import ExpertConfig, Recipe
    from ml_agent.sandbox import Tier
    from ml_agent.store import RunFolder

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
class AskingCall:
    """What verbs that may ask a language model are told of it."""

    expert: Annotated[
        str,
        typer.Option(
            "--expert",
            metavar="URL",
            help="Let a language model at this OpenAI-compatible address play: docs/experts.md.",
            show_default=False,
        ),
    ] = ""
    expert_model: Annotated[
        str, typer.Option("--expert-model", help="Its name there.", show_default=False)
    ] = ""
    key_env: Annotated[
        str,
        typer.Option(
            "--key-env", help="Environment variable that holds the key.", show_default=False
        ),
    ] = ""
    key_file: Annotated[
        str, typer.Option("--key-file", help="File that holds the key.", show_default=False)
    ] = ""
    price: Annotated[
        str,
        typer.Option(
            "--price",
            metavar="IN:OUT",
            help="What a million tokens cost, as 0.15:0.60.",
            show_default=False,
        ),
    ] = ""
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", help="What the run may cost in all.")
    ] = None
    max_tokens_spent: Annotated[
        int | None, typer.Option("--max-tokens-spent", help="Tokens the run may use, in and out.")
    ] = None
    requests_at_once: Annotated[
        int, typer.Option("--requests-at-once", help="Requests on their way at the same time.")
    ] = 8
    requests_per_minute: Annotated[
        int | None, typer.Option("--requests-per-minute", help="Requests it takes a minute.")
    ] = None
    tokens_per_minute: Annotated[
        int | None,
        typer.Option("--tokens-per-minute", help="Tokens it takes a minute, in and out."),
    ] = None
    request_timeout: Annotated[
        float, typer.Option("--request-timeout", help="Seconds one request may take.")
    ] = 180.0
    length_field: Annotated[
        Literal["max_tokens", "max_completion_tokens"] | None,
        typer.Option(
            "--length-field",
            help="What the endpoint calls the longest answer. [default: max_tokens]",
            show_default=False,
        ),
    ] = None
    leave_out: Annotated[
        str,
        typer.Option(
            "--leave-out",
            metavar="FIELDS",
            help="What it does not take, of temperature,top_p,seed.",
            show_default=False,
        ),
    ] = ""
    allow_http: Annotated[
        bool,
        typer.Option("--allow-http", help="Speak http, which can be read on the way, to it."),
    ] = False

    def asking_of(self, expert: "ExpertConfig", *, coder_price: str = "") -> "Asking":
        """How an endpoint is to be asked.

        Raises:
            UsageError: There is no key where there should be one, the address is not safe, or a
                figure makes no sense.
        """
        from ml_agent.cli.experts import read_asking
        from ml_agent.models.http import Budget, read_key

        return read_asking(
            expert,
            key=read_key(env=self.key_env, file=self.key_file),
            price=self.price,
            coder_price=coder_price,
            budget=Budget(tokens=self.max_tokens_spent, cost=self.max_cost),
            at_once=self.requests_at_once,
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
            timeout_s=self.request_timeout,
            any_http=self.allow_http,
        )

    def refuse_idle(self) -> None:
        """Refuse what says how a language model is asked; to be called where none is.

        Raises:
            UsageError: There is such an option.
        """
        given = [
            f"--{one.name.replace('_', '-')}"
            for one in fields(self)
            if one.name in _OF_AN_EXPERT and getattr(self, one.name) != one.default
        ]
        if given:
            raise UsageError(
                f"{', '.join(given)}: there is no language model that this could be about. Give "
                "--expert URL --expert-model NAME too, or leave it out"
            )


_OF_AN_EXPERT = {one.name for one in fields(AskingCall)} - {"expert", "expert_model"}
_OF_AN_EXPERT |= {"coder_model", "coder_price"}


@dataclass(frozen=True, kw_only=True)
class Call(AskingCall):
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
    coder_model: Annotated[
        str,
        typer.Option(
            "--coder-model",
            help="The model there that edits and reads files. [default: the expert's]",
            show_default=False,
        ),
    ] = ""
    ideas: Annotated[
        int | None,
        typer.Option(
            "--ideas",
            metavar="N",
            help="Play with N ideas a task and axis by the language model, not the playbook's.",
        ),
    ] = None
    coder_price: Annotated[
        str,
        typer.Option(
            "--coder-price",
            metavar="IN:OUT",
            help="The coder's. [default: --price]",
            show_default=False,
        ),
    ] = ""

    def changes(self) -> list[str]:
        """All that the call changes in its recipe, as `--set` has it."""
        named = {
            "expert.url": self.expert,
            "expert.model": self.expert_model,
            "expert.coder": self.coder_model,
            "expert.length_field": self.length_field or "",
            "expert.leave_out": self.leave_out,
            "ideas.per_axis": "" if self.ideas is None else str(self.ideas),
            "model": self.model,
            "seed": "" if self.seed is None else str(self.seed),
        }
        paper = []
        if self.expert:
            from ml_agent.env import SEVEN_ACTIONS

            paper = ["style=paper", f"actions={','.join(SEVEN_ACTIONS)}"]
        return [*paper, *(self.change or ()), *(f"{k}={v}" for k, v in named.items() if v)]

    def asking(self, recipe: "Recipe") -> "Asking | None":
        """How a recipe's endpoint is to be asked; None: it has none.

        Raises:
            UsageError: There is no key where there should be one, the address is not safe, a
                figure makes no sense, or it is said how to ask a model, and there is none.
        """
        if not recipe.expert.url:
            self.refuse_idle()
            return None
        return self.asking_of(recipe.expert, coder_price=self.coder_price)

    def tier(self) -> "Tier":
        """See `asked_tier`."""
        return asked_tier(self.sandbox, unsafe=self.unsafe)


def run_folder(run: str) -> "RunFolder":
    """The run that `--run` names: a folder, a name under runs/, or else one that lies here.

    Raises:
        UsageError: A file is in the way.
    """
    from ml_agent.store import RunFolder

    path = Path(run)
    if "/" not in run and run not in {".", ".."}:
        usual = Path("runs") / run
        here = (path / "run.json").exists() and not (usual / "run.json").exists()
        path = path if here else usual
    for part in (path, *path.parents):
        if part.exists() and not part.is_dir():
            raise UsageError(
                f"{part} is a file; a run needs a folder. Choose another name with --run."
            )
    return RunFolder(path)


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
    return taking(Call)(command)


def taking(kind: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make commands that take the fields of a dataclass as options, besides their own.

    Args:
        kind: The dataclass; a command takes one of it first.
    """

    def made(command: Callable[..., None]) -> Callable[..., None]:
        _, *own = inspect.signature(command, eval_str=True).parameters.values()
        # What it shares with others stands last.
        shown = sorted(fields(kind), key=lambda one: one.name not in kind.__annotations__)
        names = [field.name for field in shown]
        options = [*(_option(field, kind) for field in shown), *own]
        options = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in options]

        @functools.wraps(command)
        def called(**given: Any) -> None:
            call = kind(**{name: given.pop(name) for name in names})
            command(call, **given)

        called.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
        called.__annotations__ = {one.name: one.annotation for one in options}
        return called

    return made


def _option(field: "Field[Any]", kind: type[Any]) -> inspect.Parameter:
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if field.default is MISSING else field.default,
        annotation=get_type_hints(kind, include_extras=True)[field.name],
    )
