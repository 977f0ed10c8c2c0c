"""The best script as its user gets it: best/train.py, its data, and predictions of new rows.

best/train.py            reads data/, writes submission.csv; needs nothing of ours
best/data/               every labelled row to learn from, and the rows to predict
best/predictions.csv     of the user's own rows to predict, in the form they asked for
"""

import csv
import io
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml_agent.core.records import Limits
from ml_agent.solve.package import task_rows
from ml_agent.solve.records import Material, Perceived
from ml_agent.store import write_atomically
from ml_agent.store.run import writing
from ml_agent.tasks import METRICS, STARTER, Experiment, PreparedTask
from ml_agent.tasks.tables import BYTES_AT_MOST, BadTable, canonical, read_probabilities, read_table

_PREDICTIONS = "predictions.csv"
_ID_BYTES, _NUMBER_BYTES = 8, 19
"""Of a row that a script writes: a count, and a number with a comma."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is in best/."""

    folder: Path
    predictions: Path | None
    note: str
    """How the predictions were made, or why there are none."""


def write_script(folder: Path, source: str) -> None:
    """Write best/train.py, whole or not at all; predictions of another script go.

    Raises:
        StoreError: It cannot be written.
        DiskFull: No space is left.
    """
    script, predictions = folder / STARTER, folder / _PREDICTIONS
    with writing(predictions):
        # A user may have taken the script away, or written in it.
        if not script.exists() or script.read_bytes() != source.encode():
            predictions.unlink(missing_ok=True)
    write_atomically(script, source)


def write_data(
    folder: Path, prepared: PreparedTask, perceived: Perceived | None, material: Material | None
) -> None:
    """Put beside the script what it reads: the user's new rows, or else the task's own.

    Raises:
        StoreError: It cannot be written.
        DiskFull: No space is left.
    """
    data = folder / "data"
    with writing(data):
        shutil.rmtree(data, ignore_errors=True)
        if perceived is None or material is None or material.unseen is None:
            shutil.copytree(prepared.public, data)
            return
        data.mkdir(parents=True)
        rows = task_rows(perceived, material)
        rows.insert(0, "id", range(len(rows)))
        rows.to_csv(data / "train.csv", index=False)
        new = material.unseen.copy()
        new.insert(0, "id", range(len(rows), len(rows) + len(new)))
        new.to_csv(data / "predict.csv", index=False)
        if material.images is not None and material.unseen_images is not None:
            np.save(data / "train_images.npy", material.images)
            np.save(data / "predict_images.npy", material.unseen_images)
        # A box may run as another user.
        for path in (data, *data.iterdir()):
            path.chmod(0o755 if path.is_dir() else 0o644)


def too_many_to_predict(perceived: Perceived, material: Material) -> str | None:
    """What there is to say, before the search, of more rows than predictions are read of."""
    rows = 0 if material.unseen is None else len(material.unseen)
    numbers = len(perceived.answer_columns) - 1
    if rows * (_ID_BYTES + numbers * _NUMBER_BYTES) <= BYTES_AT_MOST:
        return None
    return (
        f"predictions of {rows} rows may take more than {BYTES_AT_MOST >> 20} MiB, and then they "
        "are not written: give part of the rows to predict, or run best/train.py yourself in the "
        "end."
    )


def predict(
    folder: Path,
    source: str,
    perceived: Perceived,
    material: Material,
    *,
    experiment: Experiment,
    limits: Limits,
) -> Answer:
    """Run the best script on everything that has a label, and write what it says of the new rows.

    Args:
        folder: best/, its data already there.
        source: The script.
        perceived: The task.
        material: The user's data.
        experiment: Runs a script in a box.
        limits: Of that run.

    Raises:
        SandboxError: The box failed.
        StoreError: The file cannot be written.
    """
    if material.unseen is None:
        note = "there are no rows to predict; give a test file to get predictions of it"
        return Answer(folder=folder, predictions=None, note=note)
    ran, submission = experiment({STARTER: source.encode()}, folder / "data", STARTER, limits)
    if not ran.succeeded or submission is None:
        why = f"it met its {ran.killed_by} limit" if ran.killed_by else "it failed"
        note = f"no predictions: on all rows the script ended badly ({why}). Run best/train.py"
        return Answer(folder=folder, predictions=None, note=f"{note} without a limit.")
    count, first = len(material.unseen), len(material.labelled)
    try:
        said = _said(submission, perceived, rows_at_most=count + 1000)
    except BadTable as error:
        note = f"no predictions: what the script wrote cannot be read ({error})."
        return Answer(folder=folder, predictions=None, note=note)
    wanted = [str(place) for place in range(first, first + count)]
    if missing := [one for one in wanted if not all(said.get(one) or [""])]:
        note = f"no predictions: the script left out {len(missing)} of {count} rows."
        return Answer(folder=folder, predictions=None, note=note)
    path = folder / _PREDICTIONS
    rows = [(name, *said[one]) for name, one in zip(material.unseen_ids, wanted, strict=True)]
    _write_table(path, perceived.answer_columns, rows)
    note = f"{count} rows, by the script trained on all {first} labelled rows"
    return Answer(folder=folder, predictions=path, note=note)


def _said(submission: bytes, perceived: Perceived, *, rows_at_most: int) -> dict[str, list[str]]:
    """What a script said of every row, in the user's names and in the order of their columns."""
    if METRICS[perceived.metric.name].predicts == "probabilities":
        names = [canonical(perceived.labels.get(n, n)) for n in perceived.answer_columns[1:]]
        shares = read_probabilities(submission, rows_at_most=rows_at_most)
        return {i: [repr(row.get(name, 0.0)) for name in names] for i, row in shares.items()}
    back = {used: given for given, used in perceived.labels.items()}
    if set(back) == {"0", "1"}:
        back = {}  # a score of the class that is 1
    said = read_table(submission, "prediction", rows_at_most=rows_at_most)
    return {i: [back.get(value, value)] for i, value in said.items()}


def _write_table(path: Path, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_atomically(path, text.getvalue())


def limits_within(prepared: PreparedTask, left_s: float, rows_times: float) -> Limits:
    """What the last run may use: more than an experiment, as it has more rows, within the time.

    Args:
        prepared: The task.
        left_s: Seconds that are left for it.
        rows_times: How many times as many rows it has to learn from.
    """
    usual = prepared.task.budget.experiment
    wall_s = max(0.5, min(left_s, usual.wall_s * max(2.0, rows_times)))
    cpu_s = max(usual.cpu_s, 2 * wall_s * min(len(os.sched_getaffinity(0)), usual.threads))
    return usual.model_copy(update={"wall_s": round(wall_s, 1), "cpu_s": cpu_s})
