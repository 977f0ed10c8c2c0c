"""Keep trajectories: append-only, crash-safe, queryable."""

from ml_agent.store.configuration import differences
from ml_agent.store.run import (
    RunFolder,
    RunInfo,
    read_record,
    versions,
    write_atomically,
    write_json,
    write_pieces,
)
from ml_agent.store.sqlite import Begun, Judgement, Sample, Stage, Store

__all__ = [
    "Begun",
    "Judgement",
    "RunFolder",
    "RunInfo",
    "Sample",
    "Stage",
    "Store",
    "differences",
    "read_record",
    "versions",
    "write_atomically",
    "write_json",
    "write_pieces",
]
