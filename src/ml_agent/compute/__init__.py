"""Where work runs: what this machine allows, shared out among many experiments."""

from ml_agent.compute.scheduler import Batch, Cores, Scheduler

__all__ = ["Batch", "Cores", "Scheduler"]
