"""Scripts, runs and made-up results for tests of the cache, in other processes too."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from ml_agent.core.records import Execution, Limits
from ml_agent.env import Experiments, Finding, ResultCache
from ml_agent.env.result_cache import Result, software_versions
from ml_agent.sandbox import ColdBox, Snapshots
from ml_agent.tasks import Grader, PreparedTask

GUESSES = """
import csv, os, sys
ids = [row["id"] for row in csv.DictReader(open("data/predict.csv"))]
print(os.urandom(8).hex())
open("left.txt", "w").write("left")
with open("submission.csv", "w") as out:
    print("id,prediction", file=out)
    for name in ids:
        print(f"{name},{GUESS}", file=out)
"""
REPEATABLE = "GUESS = 7.0" + GUESSES
"""Prints something else every time, which is not what decides; its error is 3."""
RANDOM = "import random\nGUESS = random.SystemRandom().random()" + GUESSES
FOREVER = "while True: pass"
KILLED = "while True: print('endless' * 1000)"
CRASHING = "1 / 0"

PARTS = {
    "script": "train.py",
    "workspace": "a" * 64,
    "data": "b" * 64,
    "limits": Limits(),
    "tier": "strong",
    "software": software_versions(),
}
# The execution, the predictions and the manifest of a small result: a block each.
SMALL = 3 * 4096
HERE = f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"


class Run:
    """One run with snapshots of its own, as a session would have it."""

    def __init__(
        self, folder: Path, grader: Grader, cache: ResultCache | None, *, checked: bool = False
    ) -> None:
        self.snapshots = Snapshots(folder)
        self.checks = 0
        self.experiments = Experiments(
            grader, self.snapshots, cache=cache, check_box=self._check_box if checked else None
        )

    def _check_box(self, prepared: PreparedTask) -> ColdBox:
        self.checks += 1
        return self.box(prepared)

    def box(self, prepared: PreparedTask) -> ColdBox:
        return ColdBox(self.snapshots, data=prepared.public)

    def ask(self, prepared: PreparedTask, source: str) -> Finding:
        box = self.box(prepared)
        box.write("train.py", source.encode())
        found = self.experiments.run(prepared, box, "train.py")
        assert box.snapshot() == found.workspace
        return found

    def cached(self, prepared: PreparedTask, source: str) -> bool:
        return self.ask(prepared, source).execution.cached


NewRun = Callable[..., Run]


def result(text: str, *, size: int = 1, workspace: dict[str, bytes] | None = None) -> Result:
    """A made-up result; `size` bytes of predictions."""
    return Result(
        execution=Execution(exit_code=0, output=text, wall_s=1.0, cpu_s=1.0),
        predictions=(text.encode() * size)[:size],
        workspace=workspace or {},
    )


def blobs(root: Path) -> list[Path]:
    return [path for path in (root / "v1" / "blobs").rglob("*") if path.is_file()]


def read(root: Path, query: str) -> set[str]:
    with closing(sqlite3.connect(root / "v1" / "index.sqlite")) as index:
        return {row[0] for row in index.execute(query)}
