"""`ml-agent solve`, from what was perceived to the answer.

Whatever ends the search (the time, the experiments, Ctrl-C, no idea left, an endpoint that takes no
more requests, a failure of ours), best/ holds the best script so far, and the report says what it
is worth.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

import pandas as pd

from ml_agent.core.errors import BudgetSpent, DiskFull, MLAgentError, Refused, TaskError
from ml_agent.core.records import Domain, Execution, Limits, Trajectory
from ml_agent.runtime import Stagehand
from ml_agent.sandbox import Snapshots
from ml_agent.solve.answer import (
    Answer,
    limits_within,
    predict,
    too_many_to_predict,
    write_data,
    write_script,
)
from ml_agent.solve.attempts import attempts_of
from ml_agent.solve.leaks import check_leaks
from ml_agent.solve.package import write_package
from ml_agent.solve.page import write_report
from ml_agent.solve.perceive import Found
from ml_agent.solve.players import PlaybookPlayer, Player
from ml_agent.solve.report import Outcome, outcome_of
from ml_agent.solve.search import Budget, Progress, Way, begun, search
from ml_agent.solve.starters import starter_script
from ml_agent.store import Stage, Store, write_json
from ml_agent.tasks import (
    STARTER,
    Experiment,
    Grader,
    PreparedTask,
    TaskPackage,
    load_package,
    prepare,
)

_REPORT_S = 2.5
"""Kept for grading on the test split, for intervals, and for writing the report."""
_RUNS_AFTER = 3.0
"""How many times as long as its experiment the last run of a script may take: it has all labelled
rows to learn from, not three fifths of them."""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What a solve works with."""

    stagehand: Stagehand
    store: Store
    grader: Grader
    snapshots: Snapshots
    experiment: Experiment
    at_once: int = 1
    player: Callable[[Domain], Player] | None = None
    """Makes who plays, once it is known what kind of task it is; None: the playbook."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the user allows."""

    deadline: float
    """As `time.monotonic` tells it."""
    experiments: int | None = None
    seed: int = 0
    way: Way = "line"


@dataclass(frozen=True, kw_only=True)
class _Ready:
    """A task, the script to start from, and a script of the user's that does not run yet."""

    prepared: PreparedTask
    to_mend: str | None = None


def fingerprint(found: Found) -> str:
    """Digest of the data and the script: the same command on other data is another run."""
    whole = hashlib.sha256(found.script or b"")
    for frame in (found.material.labelled, found.material.unseen):
        if frame is not None:
            plain = frame.astype(str)
            whole.update(pd.util.hash_pandas_object(plain, index=False).to_numpy().tobytes())
    for images in (found.material.images, found.material.unseen_images):
        whole.update(b"" if images is None else images.tobytes())
    return whole.hexdigest()


def solve(
    task: Found | TaskPackage,
    folder: Path,
    tools: Tools,
    wishes: Wishes,
    *,
    tell: Callable[[str], None],
    on_attempt: Callable[[Progress], None] = lambda _: None,
) -> Outcome:
    """Search for a better script, and leave the answer in the folder.

    Args:
        task: What was perceived, or a task package.
        folder: Where everything goes: task/, prepared/, best/, report.html.
        tools: Boxes, store, grader.
        wishes: Budget and seed.
        tell: Says a line to the user.
        on_attempt: Told before the first attempt, and after each batch of them.

    Raises:
        TaskError: The data cannot be made a task.
        DiskFull: No space is left for the answer.
        MLAgentError: An endpoint takes no request or our machinery failed, and nothing was tried
            yet; or the answer could not be made.
    """
    hurried = replace(tools, experiment=_within(tools.experiment, wishes.deadline))
    ready = _ready(task, folder, hurried, tell)
    found = task if isinstance(task, Found) else None
    leaks = check_leaks(found.perceived, found.material) if found else []
    for one in leaks:
        if one.alarming:
            tell(f"careful: {one.check}: {one.found}")
    if found and (warning := too_many_to_predict(found.perceived, found.material)):
        tell(f"careful: {warning}")
    best = folder / "best"
    perceived, material = (found.perceived, found.material) if found else (None, None)
    write_data(best, ready.prepared, perceived, material)

    def after(progress: Progress) -> None:
        write_script(best, progress.source)
        on_attempt(progress)

    progress, ended = _searched(ready, found, tools, wishes, after)
    write_script(best, progress.source)
    answer = _answer(best, progress, found, tools, wishes)
    played = list(tools.store.select(stage=Stage.SOLVE))
    outcome = outcome_of(
        progress,
        tools.grader,
        tools.snapshots,
        played,
        ended=ended,
        unstable=tools.stagehand.experiments.unstable,
        answer=answer,
        leaks=leaks,
    )
    write_json(folder / "result.json", outcome.model_dump(mode="json"))
    _report(folder, outcome, progress, played, found, tools, answer)
    return outcome


def _searched(
    ready: _Ready,
    found: Found | None,
    tools: Tools,
    wishes: Wishes,
    after: Callable[[Progress], None],
) -> tuple[Progress, str | None]:
    """The search at its end, and why it ended; None: by Ctrl-C."""
    progress = _recorded(ready, tools)
    domain = ready.prepared.task.domain
    player = tools.player(domain) if tools.player else PlaybookPlayer(seed=wishes.seed)
    again = found is not None and found.material.unseen is not None
    budget = Budget(
        deadline=wishes.deadline - _REPORT_S,
        runs_after=_RUNS_AFTER if again else 0.0,
        experiments=wishes.experiments,
    )
    try:
        after(progress)
        ended = search(
            progress,
            budget,
            player,
            tools.stagehand,
            tools.store,
            tools.snapshots,
            way=wishes.way,
            at_once=tools.at_once,
            seed=wishes.seed,
            on_attempt=after,
        )
    except KeyboardInterrupt:
        # What was played when it came is in the store.
        return _recorded(ready, tools), None
    except BudgetSpent:
        return _recorded(ready, tools), "the tokens or the money for the endpoint are used up"
    except DiskFull:
        # No answer could be written either.
        raise
    except MLAgentError as failure:
        progress = _recorded(ready, tools)
        if not progress.experiments:
            # A wrong key or model, and nothing that could be answered with.
            raise
        refused = isinstance(failure, Refused)
        why = "the endpoint takes no more requests" if refused else "the search could not go on"
        return progress, f"{why}: {failure}".rstrip(".")
    return progress, ended


def _recorded(ready: _Ready, tools: Tools) -> Progress:
    return begun(
        ready.prepared,
        tools.store.select(stage=Stage.SOLVE),
        tools.snapshots,
        given=ready.to_mend,
    )


def _within(experiment: Experiment, deadline: float) -> Experiment:
    """Runs scripts, each in half of the time that is left: there is more to be done after it."""

    def run(
        files: Mapping[str, bytes], data: Path, script: str, limits: Limits
    ) -> tuple[Execution, bytes | None]:
        wall_s = round(max(1.0, (deadline - monotonic()) / 2), 1)
        cut = limits.model_copy(update={"wall_s": min(limits.wall_s, wall_s)})
        return experiment(files, data, script, cut)

    return run


def _ready(
    task: Found | TaskPackage, folder: Path, tools: Tools, tell: Callable[[str], None]
) -> _Ready:
    if isinstance(task, TaskPackage):
        return _Ready(prepared=_prepare(task, folder, tools))
    ours = starter_script(task.perceived).encode()
    if task.script is not None:
        try:
            return _Ready(prepared=_written(task, task.script, folder, tools))
        except TaskError as error:
            tell(
                f"your script is no starter as it is: {error} A starter reads data/train.csv and "
                "data/predict.csv and writes submission.csv (id,prediction). A script of ours is "
                "used instead; yours is not changed."
            )
    prepared = _written(task, ours, folder, tools)
    return _Ready(prepared=prepared, to_mend=task.script.decode() if task.script else None)


def _written(task: Found, script: bytes, folder: Path, tools: Tools) -> PreparedTask:
    write_package(folder / "task", task.perceived, task.material, script)
    if not (folder / "best" / STARTER).exists():
        # Should nothing better come, or the user stop it before anything is measured.
        write_script(folder / "best", script.decode())
    return _prepare(load_package(folder / "task"), folder, tools)


def _prepare(package: TaskPackage, folder: Path, tools: Tools) -> PreparedTask:
    return prepare(
        package, experiment=tools.experiment, grader=tools.grader, home=folder / "prepared"
    )


def _answer(
    best: Path, progress: Progress, found: Found | None, tools: Tools, wishes: Wishes
) -> Answer:
    if found is None:
        note = "the task package names no rows to predict but its own"
        return Answer(folder=best, predictions=None, note=note)
    left_s = wishes.deadline - _REPORT_S / 2 - monotonic()
    return predict(
        best,
        progress.source,
        found.perceived,
        found.material,
        experiment=tools.experiment,
        limits=limits_within(progress.prepared, left_s, _RUNS_AFTER),
    )


def _report(
    folder: Path,
    outcome: Outcome,
    progress: Progress,
    played: Sequence[Trajectory],
    found: Found | None,
    tools: Tools,
    answer: Answer,
) -> None:
    prepared = progress.prepared
    attempts = attempts_of(
        played,
        outcome.metric,
        prepared.workspace[STARTER].decode(),
        outcome.starter,
        tools.snapshots.load,
    )
    write_report(
        folder,
        outcome,
        attempts,
        statement=prepared.task.statement,
        seconds=progress.seconds,
        conclusions=found.perceived.conclusions if found else (),
        warnings=found.perceived.warnings if found else (),
        answer=answer,
    )
