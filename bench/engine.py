"""What does an experiment cost beside its own work: cold, cold in a box, and warm in a box?

Side by side in one run: wall time of an empty script and of a scikit-learn cross-validation as a
plain subprocess, in a `ColdBox` and in a `WarmBox`, taking turns. Prints medians, the spread
(quartiles) and the ratios.

    python bench/engine.py [--repeats 15] [--json]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

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
}


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

    def run(script: str) -> None:
        (folder / "script.py").write_text(script)
        command = [sys.executable, "script.py"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    return run


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()

    seconds: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, WarmEngine() as engine:
        snapshots = Snapshots(Path(folder) / "snapshots")
        ways = {
            "cold": plain(Path(folder)),
            "cold_isolated": boxed(ColdBox(snapshots)),
            "warm_isolated": boxed(WarmBox(snapshots, engine)),
        }
        for turn in range(asked.repeats + 1):
            for name, script in SCRIPTS.items():
                for way, run in ways.items():
                    began = time.perf_counter()
                    run(script)
                    if turn:  # The first turn starts the engine and fills the page cache.
                        seconds.setdefault((name, way), []).append(time.perf_counter() - began)

    found: dict[str, float] = {}
    for (name, way), taken in seconds.items():
        low, middle, high = statistics.quantiles(taken, n=4)
        found[f"{name}_{way}_ms"] = 1000 * middle
        if not asked.json:
            spread = f"[{1000 * low:.1f}, {1000 * high:.1f}]"
            print(f"{name:<8} {way:<14} {1000 * middle:8.1f} ms  {spread}")
    found["sklearn_speedup"] = found["sklearn_cold_ms"] / found["sklearn_warm_isolated_ms"]
    if asked.json:
        print(json.dumps(found))
    else:
        print(f"sklearn_speedup {found['sklearn_speedup']:.1f}")


if __name__ == "__main__":
    main()
