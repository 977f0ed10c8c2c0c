"""Does the warm engine hold for long? Honest scripts, limits and attacks, mixed, one after another.

Every result is checked against what it must be, and at the end nothing may be left: no process,
descriptor, mount, temporary file or shared memory, and no growth of the engine.

    python bench/soak.py [--minutes 1 | --runs 10000] [--seed 0] [--json]

`--runs` runs the honest scripts alone. The exit code is 1 if anything was lost or left.
"""

import argparse
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ml_agent.core.errors import MLAgentError
from ml_agent.core.records import Execution, Limits
from ml_agent.sandbox import Snapshots, WarmBox, WarmEngine

LIMITS = Limits(wall_s=30.0, cpu_s=30.0, memory_mib=256, disk_mib=16, processes=16)
SHORT = LIMITS.model_copy(update={"wall_s": 1.0})


@dataclass(frozen=True)
class Case:
    """A script, and whether an execution is what it must come to."""

    script: str
    expected: Callable[[Execution], bool]
    limits: Limits = LIMITS


def _says(text: str) -> Callable[[Execution], bool]:
    return lambda seen: seen.succeeded and seen.output == text


def _meets(limit: str) -> Callable[[Execution], bool]:
    return lambda seen: seen.killed_by == limit


HONEST = {
    "nothing": Case("", _says("")),
    "numpy": Case("import numpy as np; print(np.arange(10).sum())", _says("45\n")),
    "sklearn": Case(
        "import numpy as np\nfrom sklearn.linear_model import LogisticRegression\n"
        "x = np.arange(40.0).reshape(-1, 1)\n"
        "print(LogisticRegression().fit(x, x[:, 0] > 20).score(x, x[:, 0] > 20))",
        _says("1.0\n"),
    ),
    "files": Case(
        "import pandas as pd\npd.DataFrame({'id': range(99)}).to_csv('submission.csv')\n"
        "print(sum(1 for _ in open('submission.csv')))",
        _says("100\n"),
    ),
    "crash": Case("1 / 0", lambda seen: seen.exit_code == 1 and "ZeroDivision" in seen.output),
}
HOSTILE = {
    "endless": Case("while True: pass", _meets("time"), SHORT),
    "deaf": Case(
        "import signal, time\n"
        "for s in range(1, 32):\n    if s not in (9, 19): signal.signal(s, signal.SIG_IGN)\n"
        "time.sleep(60)",
        _meets("time"),
        SHORT,
    ),
    "memory": Case("x = bytearray(1 << 30)", _meets("memory")),
    "shared memory": Case(
        "import mmap\ntry: mmap.mmap(-1, 1 << 29)\nexcept PermissionError: print('refused')",
        _says("refused\n"),
    ),
    "forks": Case(
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        _meets("time"),
        SHORT,
    ),
    "threads": Case(
        "import threading, time\n"
        "while True: threading.Thread(target=time.sleep, args=(9,)).start()",
        _meets("processes"),
    ),
    "disk": Case("open('x', 'wb').write(bytes(1 << 25))", _meets("disk")),
    "output": Case("while True: print('x' * 65536)", _meets("disk")),
    "daemon": Case(
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n"
        "    if os.fork() == 0: time.sleep(600)\n    os._exit(0)\nos.wait()\nprint('left')",
        _says("left\n"),
    ),
    "semaphores": Case(
        "from multiprocessing import shared_memory\n"
        "shared_memory.SharedMemory('soak', True, 4096)\nimport os\nprint(1, flush=True)\n"
        "os._exit(0)",
        _says("1\n"),
    ),
    "kill all": Case(
        "import os\ntry: os.kill(-1, 9)\nexcept ProcessLookupError: pass\nprint('alone')",
        _says("alone\n"),
    ),
    "segfault": Case("import ctypes; ctypes.string_at(0)", lambda seen: seen.exit_code == -11),
    "network": Case(
        "import socket\ntry: socket.create_connection(('127.0.0.1', 22), 1)\n"
        "except OSError as e: print('refused')",
        _says("refused\n"),
    ),
    "links": Case(
        "import os\nos.symlink('/etc/passwd', 'submission.csv')\nos.mkfifo('pipe')\nprint(1)",
        _says("1\n"),
    ),
}


@dataclass(frozen=True)
class Leftovers:
    """What the host holds that a run could have left."""

    processes: int
    descriptors: int
    mounts: int
    temporary: int
    shared: int

    @classmethod
    def now(cls) -> "Leftovers":
        """Count it."""
        return cls(
            processes=len(_descendants(os.getpid())),
            descriptors=_entries("/proc/self/fd"),
            mounts=len(Path("/proc/self/mountinfo").read_text().splitlines()),
            temporary=_entries(tempfile.gettempdir()),
            shared=_entries("/dev/shm"),
        )

    def beyond(self, before: "Leftovers") -> dict[str, int]:
        """What there is more or less of than before, by name."""
        changes = {name: now - getattr(before, name) for name, now in vars(self).items()}
        return {name: change for name, change in changes.items() if change}


def _entries(folder: str) -> int:
    return sum(1 for _ in Path(folder).iterdir())


def _descendants(pid: int) -> list[int]:
    found = []
    # A process may end while it is looked at.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                found += [int(child), *_descendants(int(child))]
    return found


def anonymous_mib() -> float:
    """Memory of their own that the engine and its zygotes hold; workers that wait share theirs."""
    total = 0
    for pid in _descendants(os.getpid()):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"confinement.engine" in command or b"confinement.zygote" in command:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss_Anon:"))
    return total / 1024


class Soak:
    """Runs of many cases in one engine, and what was wrong with them."""

    def __init__(self, engine: WarmEngine, snapshots: Snapshots, cases: dict[str, Case]) -> None:
        """Run these cases in this engine."""
        self.wrong: list[str] = []
        self.count: Counter[str] = Counter()
        self._engine = engine
        self._snapshots = snapshots
        self._cases = cases

    def run(self, name: str) -> None:
        """Run one case, and keep what is wrong with it."""
        case, box = self._cases[name], WarmBox(self._snapshots, self._engine)
        box.write("script.py", case.script.encode())
        try:
            seen = box.run(("script.py",), limits=case.limits)
        except MLAgentError as error:
            self.wrong.append(f"{name}: {type(error).__name__}: {error}")
        else:
            if not case.expected(seen):
                self.wrong.append(f"{name}: {seen}")

    def settle(self) -> None:
        """Run every honest case, then let the last supervisors end."""
        for name in HONEST:
            self.run(name)
        time.sleep(1.0)

    def mix(self, rng: random.Random, goes_on: Callable[[], bool]) -> None:
        """Run random cases, four at a time."""
        with ThreadPoolExecutor(4) as pool:
            while goes_on():
                names = rng.choices(list(self._cases), k=32)
                list(pool.map(self.run, names))
                self.count.update(names)


def soak(asked: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Run until the time or the count is up, and say what came of it."""
    began = time.monotonic()
    # No zygote is replaced, so that its growth can be seen.
    with WarmEngine(recycle_after=10**9) as engine:
        cases = HONEST if asked.runs else HONEST | HOSTILE
        soaked = Soak(engine, Snapshots(folder / "snapshots"), cases)
        soaked.settle()
        before, held = Leftovers.now(), anonymous_mib()
        if asked.runs:
            soaked.mix(random.Random(asked.seed), lambda: soaked.count.total() < asked.runs)
        else:
            ends = began + 60 * asked.minutes
            soaked.mix(random.Random(asked.seed), lambda: time.monotonic() < ends)
        soaked.settle()
        left, grown = Leftovers.now().beyond(before), anonymous_mib() - held
    return {
        "runs": soaked.count.total(),
        "seconds": round(time.monotonic() - began),
        "by_case": dict(sorted(soaked.count.items())),
        "wrong": soaked.wrong[:20],
        "left": left,
        "growth_mib": round(grown, 2),
        "ok": not soaked.wrong and not left and grown < 4,
    }


def main() -> None:
    """Soak and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ml-agent-soak-") as name:
        # A folder for temporary files that nobody else uses, so that they can be counted.
        tempfile.tempdir = os.environ["TMPDIR"] = name
        found = soak(asked, Path(name) / "run")
    if asked.json:
        print(json.dumps(found))
    else:
        for key, value in found.items():
            print(f"{key:<11} {value}")
    sys.exit(0 if found["ok"] else 1)


if __name__ == "__main__":
    main()
