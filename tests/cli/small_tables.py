"""Tables so small that a solve of them takes seconds."""

import random
from collections.abc import Callable
from pathlib import Path


def write_rows(
    folder: Path,
    *,
    count: int = 120,
    y: Callable[[float, float], float] = lambda a, b: 3 * a + b * b,
    noise: float = 0.05,
) -> Path:
    """Make a folder with rows.csv, in which y follows from a and b, not from c."""
    rng = random.Random(0)
    folder.mkdir()
    lines = ["a,b,c,y"]
    for _ in range(count):
        a, b, c = (rng.random() for _ in range(3))
        lines.append(f"{a:.4f},{b:.4f},{c:.4f},{y(a, b) + rng.gauss(0, noise):.4f}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    return folder
