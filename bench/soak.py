"""Does the warm engine hold for long? Honest scripts, limits and attacks, mixed, one after another.

Every result is checked against what it must be, and at the end nothing may be left: no process,
descriptor, mount, temporary file or shared memory, and no growth of the engine.

    python bench/soak.py [--minutes 30 | --runs 10000] [--seed 0] [--json]

`--runs` runs the honest scripts alone. The exit code is 1 if anything was lost or left.
"""

import argparse
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
        "import mmap\nx = mmap.mmap(-1, 1 << 29)\n"
        "for i in range(0, 1 << 29, 4096): x[i] = 1\nimport time; time.sleep(9)",
        _meets("memory"),
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
            processes=sum(1 for _ in _descendants(os.getpid())),
            descriptors=len(os.listdir("/proc/self/fd")),
            mounts=len(Path("/proc/self/mountinfo").read_text().splitlines()),
            temporary=len(os.listdir(tempfile.gettempdir())),
            shared=len(os.listdir("/dev/shm")),
        )


def _descendants(pid: int) -> list[int]:
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                found += [int(child), *_descendants(int(child))]
    except FileNotFoundError:
        pass
    return found


def anonymous_mib() -> float:
    """Memory of its own that the engine and its zygotes hold; workers that wait share theirs."""
    total = 0
    for pid in _descendants(os.getpid()):
        parent = Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"confinement.engine" in parent or b"confinement.zygote" in parent:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss_Anon:"))
    return total / 1024


def settle(engine_box: WarmBox) -> None:
    """Run one honest script, then let the last supervisors end."""
    engine_box.write("script.py", b"")
    engine_box.run(("script.py",), limits=LIMITS)
    time.sleep(1.0)


def soak(asked: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Run until the time or the count is up, and say what came of it."""
    cases = HONEST if asked.runs else HONEST | HOSTILE
    rng = random.Random(asked.seed)
    wrong: list[str] = []
    count: Counter[str] = Counter()
    began = time.monotonic()

    def goes_on() -> bool:
        if asked.runs:
            return sum(count.values()) < asked.runs
        return time.monotonic() - began < 60 * asked.minutes

    # No zygote is replaced, so that its growth could be seen.
    with WarmEngine(recycle_after=10**9) as engine:
        snapshots = Snapshots(folder / "snapshots")
        box = WarmBox(snapshots, engine)

        def one(name: str) -> None:
            own = WarmBox(snapshots, engine)
            own.write("script.py", cases[name].script.encode())
            try:
                seen = own.run(("script.py",), limits=cases[name].limits)
            except Exception as error:
                wrong.append(f"{name}: {type(error).__name__}: {error}")
                return
            if not cases[name].expected(seen):
                wrong.append(f"{name}: {seen}")

        for _ in range(20):
            settle_name = rng.choice(list(HONEST))
            one(settle_name)
        settle(box)
        before, held = Leftovers.now(), anonymous_mib()
        with ThreadPoolExecutor(4) as pool:
            while goes_on():
                names = [rng.choice(list(cases)) for _ in range(32)]
                count.update(names)
                list(pool.map(one, names))
        settle(box)
        after, grown = Leftovers.now(), anonymous_mib() - held
    left = {
        name: value - getattr(before, name)
        for name, value in vars(after).items()
        if value != getattr(before, name)
    }
    seconds = time.monotonic() - began
    return {
        "runs": sum(count.values()),
        "seconds": round(seconds),
        "by_case": dict(sorted(count.items())),
        "wrong": wrong[:20],
        "left": left,
        "growth_mib": round(grown, 2),
        "ok": not wrong and not left and grown < 4,
    }


def main() -> None:
    """Soak and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ml-agent-soak-") as name:
        found = soak(asked, Path(name))
    if asked.json:
        print(json.dumps(found))
    else:
        for key, value in found.items():
            print(f"{key:<11} {value}")
    sys.exit(0 if found["ok"] else 1)


if __name__ == "__main__":
    main()
