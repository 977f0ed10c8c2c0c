import pytest
from box_conformance import BoxConformance, MakeBox
from box_escapes import BoxEscapes
from box_floods import BoxFloods
from canaries import outside

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
