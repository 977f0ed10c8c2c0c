"""Keep trajectories: append-only, crash-safe, queryable."""

from ml_agent.store.run import RunFolder, RunInfo, versions, write_atomically, write_json
from ml_agent.store.sqlite import Sample, Stage, Store

__all__ = [
    "RunFolder",
    "RunInfo",
    "Sample",
    "Stage",
    "Store",
    "versions",
    "write_atomically",
    "write_json",
]
