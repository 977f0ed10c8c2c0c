"""A Python of a test's own, to hide things in: that of the tests may be somebody else's."""

import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

from ml_agent.sandbox import Tier


@contextmanager
def own_python() -> Iterator[Path]:
    """Its folder, which everybody can reach."""
    with tempfile.TemporaryDirectory(prefix="ml-agent-", dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        venv.create(Path(name) / "python", symlinks=True)
        yield Path(name) / "python"


def attack_from(prefix: Path, script: str, *, tier: Tier, home: Path) -> list[str]:
    """What `canaries.attack` returns of a box that this Python starts, with this cache."""
    caller = f"""
        from pathlib import Path
        from canaries import attack
        from ml_agent.sandbox import ColdBox, Snapshots
        box = ColdBox(Snapshots(Path("unused")), tier={tier!r})
        print(*attack(box, {script!r}), sep="\\n")
        """
    seen = subprocess.run(
        [str(prefix / "bin" / "python"), "-c", dedent(caller)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"ML_AGENT_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert seen.returncode == 0, seen.stderr
    return seen.stdout.splitlines()
