"""`ml-agent doctor`, where something is missing or limited."""

import json
import os
import subprocess
import sys
from pathlib import Path


def test_a_broken_library_is_a_line_among_the_others(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch is gone')")
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "ml_agent.cli", "doctor", "--json"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["isolation"]["ok"]
    assert found["accelerator"] == {
        "ok": False,
        "found": "torch cannot be loaded (libtorch is gone); run `make install`",
    }
    assert done.stderr == ""
