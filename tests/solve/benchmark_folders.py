"""Task folders as mle-bench and MLAgentBench leave them on a disk, small and made here.

Answers hold `SECRET`, which nothing else does: whatever copies an answer can be found by it.
"""

from pathlib import Path

import pandas as pd
from user_folders import flowers, houses

SECRET = 987_654.25
CONFIG = """id: {name}
name: A Competition
competition_type: simple
prizes:
  - position: 1
    value: 100
description: mlebench/competitions/{name}/description.md

dataset:
  answers: {name}/prepared/private/test.csv
  sample_submission: {name}/prepared/public/sample_submission.csv

grader:
  name: {grader}
  grade_fn: mlebench.competitions.{name}.grade:grade

preparer: mlebench.competitions.{name}.prepare:prepare
"""
DESCRIPTION = """# Overview

## Description

Prices of houses in three towns. People like to guess them by accuracy alone.

## Evaluation

### Goal

Say what each house sells for.

### Metric

Submissions are scored by the [mean absolute error](https://example.org/rmse.html) of the prices.

### Submission File

For every Id a SalePrice.

## Citation

Macro F1 is not meant here.
"""
EVAL = """import os
import pandas as pd

open({ran!r}, "w")


def get_score(submission_folder="../env"):
    submission = pd.read_csv(os.path.join(submission_folder, "submission.csv"))
    answers = pd.read_csv(os.path.join(os.path.dirname(__file__), "answer.csv"))
    mae = sum(abs(submission["SalePrice"] - answers["SalePrice"])) / len(answers)
    return mae


print(get_score())
"""


def mle_bench(parent: Path, *, grader: str | None = None) -> Path:
    """`houses-2024` as `mlebench prepare` leaves it; with a grader, its config.yaml beside it."""
    root = parent / "houses-2024"
    public, private, raw = (root / one for one in ("prepared/public", "prepared/private", "raw"))
    for folder in (public, private, raw):
        folder.mkdir(parents=True)
    rows = houses()
    asked = rows[110:].drop(columns="SalePrice")
    answers = rows[110:].assign(SalePrice=SECRET)
    rows[:110].to_csv(public / "train.csv", index=False)
    asked.to_csv(public / "test.csv", index=False)
    asked[["Id"]].assign(SalePrice=0).to_csv(public / "sample_submission.csv", index=False)
    (public / "description.md").write_text(DESCRIPTION)
    answers.to_csv(private / "test.csv", index=False)
    pd.concat([rows[:110], answers]).to_csv(raw / "train.csv", index=False)
    if grader is not None:
        (root / "config.yaml").write_text(CONFIG.format(name=root.name, grader=grader))
    return root


def mlagentbench(parent: Path) -> Path:
    """`house-price` after its prepare.py; its code would leave the file `ran` beside it."""
    root = parent / "house-price"
    env, scripts = root / "env", root / "scripts"
    env.mkdir(parents=True)
    scripts.mkdir()
    rows = houses()
    rows[:110].to_csv(env / "train.csv", index=False)
    rows[110:].drop(columns="SalePrice").to_csv(env / "test.csv", index=False)
    # That of Kaggle, whose test is another.
    form = pd.DataFrame({"Id": range(1461, 1471), "SalePrice": 1.5})
    form.to_csv(env / "sample_submission.csv", index=False)
    (env / "data_description.txt").write_text("area: in square metres\n")
    (env / "train.py").write_text("# fill this in\n")
    rows[110:][["Id"]].assign(SalePrice=SECRET).to_csv(scripts / "answer.csv", index=False)
    ran = str(parent / "ran")
    (scripts / "eval.py").write_text(EVAL.format(ran=ran))
    (scripts / "prepare.py").write_text(f"open({ran!r}, 'w')\n")
    (scripts / "research_problem.txt").write_text("Fill in train.py to predict the prices.\n")
    (scripts / "read_only_files.txt").write_text("./train.csv\n")
    return root


def probabilities(parent: Path) -> Path:
    """A competition whose answer has a column of probabilities for each of three classes."""
    root = parent / "flowers-2024"
    public, private = root / "prepared" / "public", root / "prepared" / "private"
    public.mkdir(parents=True)
    private.mkdir()
    rows = flowers(150).rename_axis("id").reset_index()
    rows["id"] = [f"id{i:05d}" for i in rows["id"]]
    rows[:120].to_csv(public / "train.csv", index=False)
    rows[120:].drop(columns="species").to_csv(public / "test.csv", index=False)
    form = rows[120:][["id"]].assign(tulip=0.3, daisy=0.4, rose=0.3)
    form.to_csv(public / "sample_submission.csv", index=False)
    form.assign(daisy=SECRET).to_csv(private / "test.csv", index=False)
    (root / "config.yaml").write_text(CONFIG.format(name=root.name, grader="multi-class-log-loss"))
    return root
