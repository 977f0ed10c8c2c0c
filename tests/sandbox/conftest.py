from pathlib import Path

import pytest

from ml_agent.sandbox import Snapshots

pytest.register_assert_rewrite(
    "attacks",
    "box_conformance",
    "box_escapes",
    "box_floods",
    "box_tricks",
    "canaries",
    "own_python",
    "reduced_escapes",
    "reduced_tricks",
)


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshots:
    return Snapshots(tmp_path / "snapshots")
