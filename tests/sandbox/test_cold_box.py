import shutil
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from box_conformance import BoxConformance, MakeBox
from box_escapes import BoxEscapes
from box_floods import BoxFloods
from box_tricks import BoxTricks
from canaries import outside

from ml_agent.core.records import Limits
from ml_agent.sandbox import ColdBox, Snapshots

__all__ = ["outside"]


class ColdEngine:
    @pytest.fixture
    def make_box(self, snapshots: Snapshots) -> MakeBox:
        return lambda data: ColdBox(snapshots, data=data)


class TestContract(ColdEngine, BoxConformance):
    pass


class TestEscapes(ColdEngine, BoxEscapes):
    pass


class TestFloods(ColdEngine, BoxFloods):
    pass


class TestTricks(ColdEngine, BoxTricks):
    pass


def test_labels_kept_inside_the_interpreters_own_folder_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Path(sys.prefix) / f"cache-{uuid4().hex}"
    (home / "tasks").mkdir(parents=True)
    (home / "tasks" / "valid.csv").write_text("id,label\n")
    monkeypatch.setenv("ML_AGENT_HOME", str(home))
    box = ColdBox(Snapshots(tmp_path / "snapshots"))
    try:
        box.write("look.py", f"import os; print(os.listdir({str(home)!r}))".encode())
        assert box.run(("look.py",), limits=Limits()).output == "[]\n"
    finally:
        box.close()
        shutil.rmtree(home)
