"""`ml-agent export`: what a run has collected, as a chat data set for other programs."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from ml_agent.cli.options import asked_tier, run_folder
from ml_agent.core.errors import UsageError

if TYPE_CHECKING:
    from ml_agent.core.records import Task
    from ml_agent.store import RunFolder
    from ml_agent.train.examples import Filter
    from ml_agent.train.export import Format

_RUN = typer.Argument(help="Name of the run, or its folder.", show_default=False)
_FORMAT = typer.Option(..., "--format", help="Which program reads it.")
_FILTER = typer.Option("none", "--filter", help="Which steps; see docs/experts.md.")
_WHOLE = typer.Option(False, "--whole", help="Whole trajectories, not single steps.")
_OUT = typer.Option("", "--out", help="The file. [default: in the run's folder]")


def export(
    run: str = _RUN,
    form: Literal["trl", "llama-factory"] = _FORMAT,
    keep: Literal["none", "successful-steps", "improving-steps", "improving-edits"] = _FILTER,
    whole: bool = _WHOLE,
    out: str = _OUT,
) -> None:
    """Write what was collected as a chat data set that TRL or LLaMA-Factory trains on.

    Example: ml-agent export mine --format trl --filter improving-edits --out steps.jsonl
    """
    from ml_agent.store import Stage, Store
    from ml_agent.train.export import steps_as_chats, trajectories_as_chats

    folder = run_folder(run)
    folder.info()
    ending = "jsonl" if form == "trl" else "json"
    kind = "trajectories" if whole else "steps"
    path = Path(out) if out else folder.path / f"{kind}-{form}.{ending}"
    if not folder.store_path.exists():
        raise UsageError(f"{folder.path} has collected nothing yet: run `ml-agent collect` first")
    with closing(Store(folder.store_path)) as store:
        recorded = store.select(stage=Stage.COLLECT)
        as_chats = trajectories_as_chats if whole else steps_as_chats
        rows = as_chats(recorded, _tasks(folder, keep), form, keep=keep)
        count = _write(path, rows, form)
    typer.echo(f"{count:,} {kind} in {path}")
    if form == "llama-factory":
        typer.echo(f"described as {path.stem} in {_describe(path)}")


def _tasks(folder: "RunFolder", keep: "Filter") -> Mapping[str, "Task"]:
    """What a filter must know of the tasks: where a score is better."""
    if keep in {"none", "successful-steps"}:
        return {}
    from ml_agent.cli.preparing import prepare_tasks
    from ml_agent.train.own_runs import own_tasks, read_gathered

    names = [str(name) for name in folder.config().get("train_tasks", ())]
    gathered = read_gathered(folder).library
    # As a rule they are prepared: then nothing is run, and no isolation is needed.
    ready = prepare_tasks([*names, *gathered], tier=lambda: asked_tier("auto", unsafe=False))
    return {one.task.id: one.task for one in (*ready, *own_tasks(folder).values())}


def _write(path: Path, rows: Iterable[dict[str, Any]], form: "Format") -> int:
    """Write rows one by one, as they come."""
    from ml_agent.store import write_pieces

    count = 0

    def pieces() -> Iterator[str]:
        nonlocal count
        for row in rows:
            text = json.dumps(row)
            yield f"{text}\n" if form == "trl" else f"{',' if count else '['}\n{text}"
            count += 1
        if form != "trl":
            yield "\n]\n"

    write_pieces(path, pieces(), partial=".exporting-")
    return count


def _describe(path: Path) -> Path:
    """Note a file in the dataset_info.json beside it, which may know others already."""
    from ml_agent.store import write_json
    from ml_agent.train.export import dataset_info

    beside = path.with_name("dataset_info.json")
    try:
        known = json.loads(beside.read_text()) if beside.exists() else {}
        known[path.stem] = dataset_info(path.name)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{beside} is not LLaMA-Factory's: {error}. Give another --out") from error
    write_json(beside, known)
    return beside
