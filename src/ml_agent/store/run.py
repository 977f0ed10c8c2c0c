"""A run's folder: everything needed to read it, and to go on with it, lies in it.

runs/NAME/  run.json  config.json  tasks.json  trajectories/store.sqlite  snapshots/  checkpoints/
            metrics/STAGE.jsonl  tensorboard/  summary.json  report.html  log.txt
            endpoint.sqlite  usage.json  ideas/TASK.json  diversity.json  diversity.html
            own/TASK@RUN/  learned.json  rejected/      of a run of `learn`
"""

import fcntl
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from time import monotonic
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError

from ml_agent import __version__
from ml_agent.core.base import Record
from ml_agent.core.errors import DiskFull, StoreError, UsageError, is_full
from ml_agent.core.records import SCHEMA
from ml_agent.store.configuration import differences
from ml_agent.store.events import Events

PARTIAL = ".partial-"
"""How names of what is not whole yet begin."""
Figures = Mapping[str, float | int | str | None]
"""Of one update, by name."""
_LIBRARIES = ("torch", "transformers", "peft", "scikit-learn", "numpy", "pandas")


R = TypeVar("R", bound=Record)


class StageState(Record):
    """How far a stage of a run has come."""

    status: Literal["running", "stopped", "done"]
    seconds: float
    """Spent on it in all sessions that ended in order; what a kill cut off is not among them."""


class RunInfo(Record):
    """run.json: what made the run, and how far it has come."""

    schema_version: int = SCHEMA
    name: str
    recipe: str
    started: str
    versions: dict[str, str]
    machine: dict[str, str]
    stages: dict[str, StageState] = Field(default_factory=dict)


class RunFolder:
    """One run on disk. Only one process works in it at a time; any number may read."""

    def __init__(self, path: Path, *, option: str = "--run") -> None:
        """Name the folder; nothing is read or written.

        Args:
            path: The folder.
            option: How the user names another one, for messages.
        """
        self.path = path
        self._option = option

    @property
    def store_path(self) -> Path:
        """The trajectory store."""
        return self.path / "trajectories" / "store.sqlite"

    @property
    def tasks_path(self) -> Path:
        """Its tasks, as they were when it first used them."""
        return self.path / "tasks.json"

    @property
    def ledger_path(self) -> Path:
        """What was asked of an endpoint and answered, if one was used."""
        return self.path / "endpoint.sqlite"

    @property
    def usage_path(self) -> Path:
        """What that came to, as one JSON object."""
        return self.path / "usage.json"

    def ideas_path(self, task: str) -> Path:
        """A task's ideas by a language model, if one was asked for them."""
        return self.path / "ideas" / f"{task}.json"

    @property
    def snapshots(self) -> Path:
        """Workspaces and predictions by content."""
        return self.path / "snapshots"

    @property
    def checkpoints(self) -> Path:
        """Trained weights: sft/, rl/step-N/."""
        return self.path / "checkpoints"

    def metrics(self, stage: str) -> Path:
        """One flat JSON object a line."""
        return self.path / "metrics" / f"{stage}.jsonl"

    def info(self) -> RunInfo:
        """What run.json says.

        Raises:
            UsageError: There is no run here, another version of this program wrote it, or it is
                damaged.
        """
        path = self.path / "run.json"
        if not path.exists():
            raise UsageError(f"{self.path} is no run: it has no run.json")
        given = self._read_json(path)
        version = given.get("schema_version")
        if version != SCHEMA:
            raise UsageError(
                f"{path} has schema version {version}, this program reads version {SCHEMA}. "
                "Use the version that made it, or start a new run under another name."
            )
        try:
            return RunInfo.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise self._damaged(path, f"{where}: {first['msg']}") from error

    def config(self) -> dict[str, Any]:
        """The resolved configuration the run was started with.

        Raises:
            UsageError: It is missing or damaged.
        """
        return self._read_json(self.path / "config.json")

    def is_begun_with(self, config: Mapping[str, Any]) -> bool:
        """Whether the run is there already, with this configuration or one that decides the same.

        Raises:
            UsageError: It is there with another configuration, of another version, or damaged.
        """
        if not (self.path / "run.json").exists():
            return False
        self.info()
        if differing := differences(self.config(), json.loads(json.dumps(config))):
            raise UsageError(
                f"{self.path} was made with another configuration; it differs in "
                f"{', '.join(differing[:5])}. Choose another name with {self._option}, or delete "
                "the folder."
            )
        return True

    @contextmanager
    def working(self, recipe: str, config: Mapping[str, Any]) -> Iterator[None]:
        """Work in the run: make it if it is new, go on with it if its configuration is the same.

        Raises:
            UsageError: It was made with another configuration or version, is damaged, or somebody
                is working in it.
            StoreError: It cannot be written.
            DiskFull: No space is left.
        """
        resolved = json.loads(json.dumps(config))
        self.is_begun_with(resolved)
        with writing(self.path / "lock"):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / "lock").open("a")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise UsageError(
                    f"another ml-agent is working in {self.path}. Wait for it, or choose another "
                    f"name with {self._option}."
                ) from error
            # Again: another may have made it a moment ago.
            if not self.is_begun_with(resolved):
                self._make(recipe, resolved)
            self._sweep()
            if resolved != self.config():
                write_json(self.path / "config.json", resolved)
            yield

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage and note in run.json whether it ended well."""
        earlier = self.info().stages.get(name)
        spent, began = (earlier.seconds if earlier else 0.0), monotonic()
        self._note(name, StageState(status="running", seconds=spent))
        try:
            yield
        except BaseException:
            stopped = StageState(status="stopped", seconds=spent + monotonic() - began)
            self._note(name, stopped)
            raise
        self._note(name, StageState(status="done", seconds=spent + monotonic() - began))

    def is_done(self, stage: str) -> bool:
        """Whether a stage has ended well before."""
        state = self.info().stages.get(stage)
        return state is not None and state.status == "done"

    @contextmanager
    def figures(self, stage: str, *, first_update: int) -> Iterator[Callable[[Figures], None]]:
        """What a stage calls with the figures of each update; for us and for TensorBoard.

        Args:
            stage: Whose figures.
            first_update: Where it is taken up again: lines from there on are forgotten.

        Raises:
            StoreError: They cannot be written.
            DiskFull: No space is left.
        """
        kept = [line for line in self.read_metrics(stage) if line["update"] < first_update]
        path = self.metrics(stage)
        write_atomically(path, "".join(json.dumps(line) + "\n" for line in kept))
        shown = self.path / "tensorboard" / stage
        with writing(shown):
            events = Events(shown)
            for line in kept:
                events.add(line)

        def log(line: Figures) -> None:
            with writing(path), path.open("a") as file:
                file.write(json.dumps(dict(line)) + "\n")
            with writing(shown):
                events.add(line)

        try:
            yield log
        finally:
            events.close()

    def read_metrics(self, stage: str) -> list[dict[str, Any]]:
        """All lines of figures of a stage; a last line cut off by a kill is passed over."""
        path = self.metrics(stage)
        if not path.exists():
            return []
        whole = [line for line in path.read_text().splitlines(keepends=True) if line[-1:] == "\n"]
        return [json.loads(line) for line in whole]

    def _make(self, recipe: str, config: Mapping[str, Any]) -> None:
        with writing(self.path):
            write_json(self.path / "config.json", config)
            info = RunInfo(
                name=self.path.name,
                recipe=recipe,
                started=datetime.now(UTC).isoformat(timespec="seconds"),
                versions=versions(),
                machine=machine(),
            )
            write_json(self.path / "run.json", info.model_dump(mode="json"))

    def _sweep(self) -> None:
        """Remove what a kill left half-written: a part of a checkpoint may be gigabytes."""
        for aside in list(self.checkpoints.rglob(".replaced-?*-*")):
            # Moved there for one that never came: it is whole, and the only one.
            name = aside.name.removeprefix(".replaced-").rpartition("-")[0]
            if not aside.with_name(name).exists():
                aside.rename(aside.with_name(name))
        # Not below the whole folder: what else the user keeps in it is none of our business.
        trajectories, ideas = self.store_path.parent, self.ideas_path("").parent
        made = (self.path / "metrics", self.path / "own")
        own = (self.checkpoints, self.snapshots, trajectories, ideas, *made)
        hidden = [*self.path.glob(".*"), *(path for folder in own for path in folder.rglob(".*"))]
        for left in hidden:
            if not left.name.startswith((PARTIAL, ".replaced-", ".making-")):
                continue
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)

    def _note(self, name: str, state: StageState) -> None:
        info = self.info()
        stages = {**info.stages, name: state}
        note = info.model_copy(update={"stages": stages})
        write_json(self.path / "run.json", note.model_dump(mode="json"))

    def _read_json(self, path: Path) -> dict[str, Any]:
        try:
            given = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise self._damaged(path, str(error)) from error
        if not isinstance(given, dict):
            raise self._damaged(path, "it holds no JSON object")
        return given

    def _damaged(self, path: Path, why: str) -> UsageError:
        return UsageError(
            f"{path} is damaged ({why}). Choose another name with {self._option}, or delete the "
            "folder."
        )


def versions() -> dict[str, str]:
    """Code and library versions that a result depends on."""
    found = {"ml-agent": __version__, "python": platform.python_version()}
    return found | {name: metadata.version(name) for name in _LIBRARIES}


def machine() -> dict[str, str]:
    """What kind of machine this is; nothing that names it or its user."""
    return {
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "architecture": platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
    }


def read_record(path: Path, kind: type[R], *, remedy: str) -> R:
    """Read a record that `write_json` wrote.

    Args:
        path: The file.
        kind: What it holds.
        remedy: What is to be done where it is damaged, in a sentence.

    Raises:
        StoreError: It is not there, or damaged.
    """
    try:
        return kind.model_validate(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        told = str(error).splitlines()[0]
        raise StoreError(f"{path} is damaged ({told}). {remedy}") from error


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object whole or not at all.

    Raises:
        StoreError: It cannot be written.
        DiskFull: No space is left.
    """
    write_atomically(path, json.dumps(content, indent=2) + "\n")


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's text; a reader sees the old or the new one, never a part.

    Raises:
        StoreError: It cannot be written.
        DiskFull: No space is left.
    """
    write_pieces(path, (text,))


def write_pieces(path: Path, pieces: Iterable[str], *, partial: str = PARTIAL) -> None:
    """Replace a file's text by that of pieces, made one at a time; whole or not at all.

    Args:
        path: The file.
        pieces: Of its text.
        partial: How the name begins that it has until it is whole. Who works in a run without its
            lock gives another one than what the next to take that lock removes.

    Raises:
        StoreError: It cannot be written.
        DiskFull: No space is left.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=partial)
        try:
            with os.fdopen(handle, "w") as file:
                file.writelines(pieces)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failed write into one clear line.

    Raises:
        DiskFull: No space is left.
        StoreError: The block could not write for another reason.
    """
    try:
        yield
    except OSError as error:
        kind, advice = (
            (DiskFull, "Free some space")
            if is_full(error)
            else (StoreError, "Make the folder writable, or choose another one")
        )
        raise kind(
            f"cannot write {path}: {error.strerror}. {advice} and run the same command again; "
            "what is finished is kept."
        ) from error
