"""Keep trajectories: append-only, crash-safe, queryable."""

from ml_agent.store.sqlite import Sample, Stage, Store

__all__ = ["Sample", "Stage", "Store"]
