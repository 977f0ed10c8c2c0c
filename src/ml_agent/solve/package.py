"""From what was perceived to a task package like any other: card, statement, data, starter.

    task.toml  statement.md  prepare.py  starter/train.py  data/rows.csv  data/cut.json

There is no reference solution: nobody knows one. The card says so, m_best is the metric's perfect
value, and gains are told relative to the starter.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from ml_agent.core.records import Domain
from ml_agent.solve import cutting
from ml_agent.solve.records import Material, Perceived
from ml_agent.store.run import writing
from ml_agent.tasks import METRICS

EXPERIMENT_S = 30.0
"""What one run of a script may take."""


def write_package(folder: Path, perceived: Perceived, material: Material, script: bytes) -> None:
    """Write the package; what is in the folder already goes.

    Args:
        folder: Of the package.
        perceived: What is to be solved.
        material: The data.
        script: What the search starts from.

    Raises:
        StoreError: It cannot be written.
        DiskFull: No space is left.
    """
    with writing(folder):
        shutil.rmtree(folder, ignore_errors=True)
        for part in ("starter", "data"):
            (folder / part).mkdir(parents=True)
        rows = task_rows(perceived, material)
        whole = rows.join(material.labelled[list(perceived.hidden)])
        whole.to_csv(folder / "data" / "rows.csv", index=False)
        if material.images is not None:
            np.save(folder / "data" / "images.npy", material.images)
        by = perceived.time if perceived.split == "time" else perceived.group
        cut = {"target": perceived.target, "split": perceived.split, "by": by}
        written = json.dumps({**cut, "hidden": perceived.hidden})
        (folder / "data" / "cut.json").write_text(written)
        (folder / "prepare.py").write_text(Path(cutting.__file__).read_text(encoding="utf-8"))
        (folder / "task.toml").write_text(_card(perceived), encoding="utf-8")
        (folder / "statement.md").write_text(_statement(perceived, rows), encoding="utf-8")
        (folder / "starter" / "train.py").write_bytes(script)


def task_rows(perceived: Perceived, material: Material) -> pd.DataFrame:
    """The labelled rows as a script may have them: the task's class names, nothing hidden."""
    rows = material.labelled.drop(columns=list(perceived.hidden))
    if perceived.labels:
        names = rows[perceived.target].astype(str).map(perceived.labels)
        rows = rows.assign(**{perceived.target: names})
    return rows


def _card(perceived: Perceived) -> str:
    better = "true" if perceived.metric.higher_is_better else "false"
    return f"""# Written by `ml-agent solve`.
id = "{perceived.name}"
domain = "{perceived.domain}"
role = "train"
seeds = [0]
reference = false

[metric]
name = "{perceived.metric.name}"
higher_is_better = {better}

[budget]
steps = 8
wall_s = 1800

[budget.experiment]
wall_s = {EXPERIMENT_S}
cpu_s = {2 * EXPERIMENT_S}
memory_mib = 2048

[source]
title = "A folder of the user's"
licence = "the user's own"
citation = "none"
"""


def _statement(perceived: Perceived, rows: pd.DataFrame) -> str:
    target = _plain(perceived.target)
    if perceived.domain is Domain.IMAGE:
        has = "the images are data/train_images.npy and data/predict_images.npy, row by row"
    else:
        named = ", ".join(_plain(name) for name in list(perceived.features)[:6])
        more = len(perceived.features) - 6
        has = f"columns {named}" + (f" and {more} more" if more > 0 else "")
    better = "higher" if perceived.metric.higher_is_better else "lower"
    shares = METRICS[perceived.metric.name].predicts == "probabilities"
    form = "id, and for each class a column of its probability" if shares else "id,prediction"
    return (
        f"data/train.csv: rows with {target}; data/predict.csv: more without it, {len(rows)} in "
        f"all; {has}.\nPredict {target} for every id of data/predict.csv into submission.csv "
        f"({form}). Measured by {perceived.metric.name}, {better} is better.\n"
    )


def _plain(name: str) -> str:
    """A name on one line, at most 40 characters of it."""
    line = " ".join(name.split())
    return line if len(line) <= 40 else line[:37] + "..."
