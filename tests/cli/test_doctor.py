"""`ml-agent doctor`, where something is missing or limited."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ml_agent.cli.doctor import memory_bytes


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


@pytest.mark.parametrize(
    ("own", "limited", "limit"),
    [
        ("0::/outer/inner", "outer/memory.max", "4096"),
        ("0::/", "memory.max", "4096"),
        ("0::/not/shown/here", "memory.max", "4096"),
        ("5:cpu:/\n4:memory:/inner", "memory/inner/memory.limit_in_bytes", "4096"),
        ("0::/", "memory.max", "max"),
        ("4:memory:/", "memory/memory.limit_in_bytes", "9223372036854771712"),
        ("1:cpu:/", "cpu/memory.max", "4096"),
    ],
)
def test_memory_is_what_a_container_may_use(
    own: str, limited: str, limit: str, tmp_path: Path
) -> None:
    (tmp_path / "own").write_text(own)
    file = tmp_path / "groups" / limited
    file.parent.mkdir(parents=True)
    file.write_text(f"{limit}\n")
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    seen = memory_bytes(tmp_path / "groups", tmp_path / "own")
    assert seen == (4096 if limit == "4096" and not limited.startswith("cpu") else whole)
