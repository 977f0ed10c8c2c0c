import pytest
from box_conformance import BoxConformance, MakeBox
from box_escapes import BoxEscapes
from box_floods import BoxFloods
from box_tricks import BoxTricks
from canaries import outside
from own_python import attack_from, own_python

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


def test_labels_kept_inside_the_interpreters_own_folder_cannot_be_read() -> None:
    with own_python() as prefix:
        home = prefix / "lib" / "cache"
        (home / "tasks").mkdir(parents=True)
        (home / "tasks" / "valid.csv").write_text("id,label\n")
        lines = attack_from(
            prefix,
            f"""
            print(sys.prefix == {str(prefix)!r}, os.listdir({str(home)!r}))
            """,
            tier="strong",
            home=home,
        )
    assert lines == ["True []"]
