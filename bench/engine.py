"""What does an experiment cost beside its own work, and how many fit into a minute?

Side by side in one run, the ways taking turns:

    an experiment   wall time of an empty script, a scikit-learn cross-validation and a short torch
                    training: as a plain subprocess, in a cold box, in a warm box
    throughput      the scikit-learn script through the scheduler and warm boxes, against a pool of
                    plain subprocesses, as many at once as there are cores
    a restore       a state of 30 small files beside 10 data files of 20 MB, against a copy

Prints medians, the spread (quartiles) and the ratios; `--json` prints one object.
`overhead_ms` is what the warm box adds to an empty script, whose own work is nothing.

    python bench/engine.py [--repeats 15] [--json]
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ml_agent.compute import Scheduler
from ml_agent.core.records import Limits
from ml_agent.sandbox import ColdBox, Sandbox, Snapshots, WarmBox, WarmEngine

SCRIPTS = {
    "empty": "",
    "sklearn": (
        "import numpy as np, pandas as pd\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "from sklearn.model_selection import cross_val_score\n"
        "x = np.random.default_rng(0).normal(size=(3000, 20))\n"
        "y = x[:, 0] + x[:, 1] > 0\n"
        "print(cross_val_score(LogisticRegression(), x, y, cv=5).mean())\n"
        "pd.DataFrame(x).head(100).to_csv('submission.csv')\n"
    ),
    "torch": (
        "import torch\n"
        "torch.manual_seed(0)\n"
        "x = torch.randn(512, 20)\n"
        "y = (x[:, 0] + x[:, 1] > 0).long()\n"
        "layers = torch.nn.Linear(20, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2)\n"
        "network = torch.nn.Sequential(*layers)\n"
        "adam = torch.optim.Adam(network.parameters(), lr=0.01)\n"
        "for _ in range(50):\n"
        "    adam.zero_grad()\n"
        "    loss = torch.nn.functional.cross_entropy(network(x), y)\n"
        "    loss.backward()\n"
        "    adam.step()\n"
        "print(loss.item())\n"
    ),
}
Found = dict[str, float]
_LEAST = 4
"""Repeats: of some figures the first two are left out, and quartiles are of two values at least."""


class Table:
    """Timings by name, printed with their spread."""

    def __init__(self, *, quiet: bool) -> None:
        """Print rows unless the run is quiet."""
        self.found: Found = {}
        self._quiet = quiet

    def add(self, name: str, seconds: list[float]) -> None:
        """Keep the median as NAME_ms, and print it with the quartiles."""
        low, middle, high = (1000 * s for s in statistics.quantiles(seconds, n=4))
        self.found[f"{name}_ms"] = middle
        if not self._quiet:
            print(f"{name:<26} {middle:9.2f} ms  [{low:.2f}, {high:.2f}]", flush=True)

    def set(self, name: str, value: float) -> None:
        """Keep and print a figure that has no spread."""
        self.found[name] = value
        if not self._quiet:
            print(f"{name:<26} {value:9.1f}", flush=True)


def boxed(box: Sandbox) -> Callable[[str], None]:
    """Run a script in a box."""

    def run(script: str) -> None:
        box.write("script.py", script.encode())
        seen = box.run(("script.py",), limits=Limits())
        if not seen.succeeded:
            raise SystemExit(seen.output)

    return run


def plain(folder: Path) -> Callable[[str], None]:
    """Run a script of ours in a fresh interpreter, with no box around it."""
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

    def run(script: str) -> None:
        (folder / "script.py").write_text(script)
        subprocess.run(
            [sys.executable, "script.py"],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
            env=os.environ | one_thread,
        )

    return run


def measure_experiments(table: Table, repeats: int, engine: WarmEngine, folder: Path) -> None:
    """Wall time of one experiment, three scripts, three ways."""
    snapshots = Snapshots(folder / "snapshots")
    ways = {
        "cold": plain(folder),
        "cold_isolated": boxed(ColdBox(snapshots)),
        "warm_isolated": boxed(WarmBox(snapshots, engine)),
    }
    seconds: dict[tuple[str, str], list[float]] = {}
    for turn in range(repeats + 1):
        for name, script in SCRIPTS.items():
            for way, run in ways.items():
                began = time.perf_counter()
                run(script)
                if turn:  # The first turn starts the engine and fills the page cache.
                    seconds.setdefault((name, way), []).append(time.perf_counter() - began)
    for (name, way), taken in seconds.items():
        table.add(f"{name}_{way}", taken)
    table.set("overhead_ms", table.found["empty_warm_isolated_ms"])
    for name in ("sklearn", "torch"):
        cold, warm = (table.found[f"{name}_{way}_ms"] for way in ("cold", "warm_isolated"))
        table.set(f"{name}_speedup", cold / warm)


def measure_throughput(table: Table, count: int, engine: WarmEngine, folder: Path) -> None:
    """Experiments a minute on all cores: the scheduler's, and a pool of plain subprocesses."""
    snapshots, script = Snapshots(folder / "snapshots"), SCRIPTS["sklearn"]
    cores = len(os.sched_getaffinity(0))

    def warm(granted: object) -> None:
        boxed(WarmBox(snapshots, engine))(script)

    def cold(number: int) -> None:
        own = folder / f"plain-{number}"
        own.mkdir(exist_ok=True)
        plain(own)(script)

    with Scheduler() as scheduler:
        began = time.perf_counter()
        for future in [scheduler.submit(warm, task="bench") for _ in range(4 * count)]:
            future.result()
        ours = 60 * 4 * count / (time.perf_counter() - began)
    with ThreadPoolExecutor(cores) as pool:
        began = time.perf_counter()
        list(pool.map(cold, range(count)))
        theirs = 60 * count / (time.perf_counter() - began)
    table.set("experiments_per_minute", ours)
    table.set("cold_experiments_per_minute", theirs)
    table.set("throughput_speedup", ours / theirs)


def measure_restore(table: Table, repeats: int, folder: Path) -> None:
    """A state nobody has read yet, states read lately, and a copy of the same files.

    Data is shown, never copied.
    """
    data, copied = folder / "data", folder / "copied"
    data.mkdir()
    for number in range(10):
        (data / f"{number}.bin").write_bytes(os.urandom(20 << 20))
    box = ColdBox(Snapshots(folder / "snapshots"), data=data)
    states = []
    for _ in range(2):
        for number in range(30):
            box.write(f"file-{number}.py", os.urandom(10_000))
        states.append(box.snapshot())
    source = folder / "source"
    shutil.copytree(data, source / "data")
    for name in box.names() or []:
        if name != "data/":
            (source / name).write_bytes(box.read(name) or b"")
    first, again, theirs = [], [], []
    for turn in range(repeats):
        fresh = ColdBox(Snapshots(folder / "snapshots"), data=data)
        began = time.perf_counter()
        fresh.restore(states[0])
        first.append(time.perf_counter() - began)
        began = time.perf_counter()
        box.restore(states[turn % 2])
        taken = time.perf_counter() - began
        if turn > 1:
            again.append(taken)
        began = time.perf_counter()
        shutil.copytree(source, copied)
        theirs.append(time.perf_counter() - began)
        shutil.rmtree(copied)
    table.add("restore", first)
    table.add("restore_again", again)
    table.add("copy", theirs)
    table.set("restore_speedup", table.found["copy_ms"] / table.found["restore_ms"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    if asked.repeats < _LEAST:
        parser.error(f"--repeats is {asked.repeats}; quartiles need {_LEAST} at least")
    table = Table(quiet=asked.json)
    with tempfile.TemporaryDirectory(prefix="ml-agent-bench-") as name, WarmEngine() as engine:
        folder = Path(name)
        folder.chmod(0o755)
        measure_experiments(table, asked.repeats, engine, folder)
        measure_throughput(table, 2 * asked.repeats, engine, folder)
        measure_restore(table, asked.repeats, folder)
    if asked.json:
        print(json.dumps(table.found))


if __name__ == "__main__":
    main()
